/** What was executed in this session, as Jupyter's `history_request` asks for it. Nothing is kept on disk. */

/** One executed cell. */
export interface HistoryEntry {
  /** The execution count. */
  line: number;
  source: string;
  /** The result as text, where there was one. */
  output?: string;
}

/** Which entries are wanted; the fields are those of `history_request`. */
export interface HistoryQuery {
  access: 'range' | 'tail' | 'search';
  /** With `range`: 0 and this session's number are this session; earlier ones are not kept. */
  session: number;
  start: number;
  /** Exclusive; `undefined` is the end. */
  stop?: number;
  /** At most so many, the last ones. */
  n?: number;
  /** With `search`: a glob with `*`, `?` and `[…]`. */
  pattern: string;
  /** With `search`: of equal sources the last only. */
  unique: boolean;
}

/** The number of this session: histories of earlier ones do not exist. */
export const sessionNumber = 1;

/** The executed cells of one kernel. */
export class History {
  private readonly entries: HistoryEntry[] = [];

  /** Adds a cell that starts; its output may be filled in later. */
  add(line: number, source: string): HistoryEntry {
    const entry: HistoryEntry = { line, source };
    this.entries.push(entry);
    return entry;
  }

  /** The wanted entries, oldest first. */
  find(query: HistoryQuery): HistoryEntry[] {
    if (query.access === 'range') return this.range(query);
    let found: readonly HistoryEntry[] = this.entries;
    if (query.access === 'search') {
      const pattern = globPattern(query.pattern);
      found = found.filter(({ source }) => pattern.test(source));
      if (query.unique) {
        const last = new Map(found.map((entry) => [entry.source, entry]));
        found = found.filter((entry) => last.get(entry.source) === entry);
      }
    }
    return query.n === undefined ? [...found] : found.slice(Math.max(0, found.length - query.n));
  }

  private range({ session, start, stop = Infinity }: HistoryQuery): HistoryEntry[] {
    if (session !== 0 && session !== sessionNumber) return [];
    return this.entries.filter(({ line }) => line >= start && line < stop);
  }
}

/** A glob as an expression that matches whole texts, over several lines too. */
function globPattern(glob: string): RegExp {
  const source = glob.replace(/\[([!^]?)([^\]]+)\]|[\s\S]/g, (part, not?: string, set?: string) => {
    if (set !== undefined) return `[${not ? '^' : ''}${set.replace(/[\\^[]/g, '\\$&')}]`;
    if (part === '*') return '.*';
    if (part === '?') return '.';
    return part.replace(/[\\^$.*+?()[\]{}|]/, '\\$&');
  });
  try {
    return new RegExp(`^${source}$`, 'su');
  } catch {
    // A set such as [z-a] is no expression: then nothing matches.
    return /(?!)/;
  }
}
