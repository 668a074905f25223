/** What a search has found, written down as it goes: a search that is broken off anywhere goes on to the candidate. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { formatArchitecture, parseArchitecture, type SearchSpace } from '../models/architecture';
import { makeFolders } from '../tensor/folders';
import { isRecord, sortedJson } from '../tensor/plain-json';
import type { CandidateOrigin, EvaluatedCandidate } from './candidates';

/** An open log. */
export interface SearchLog {
  /** What it held when it was opened, for `searchArchitectures`' `known`. */
  readonly known: readonly EvaluatedCandidate[];
  /** Writes a candidate down; returns when the disk has it. For `searchArchitectures`' `onEvaluated`. */
  append(candidate: EvaluatedCandidate): Promise<void>;
  close(): Promise<void>;
}

/** A candidate's line. */
interface Line extends Omit<EvaluatedCandidate, 'architecture' | 'fitness'> {
  readonly architecture: string;
  /** `null` is -Infinity: JSON has none. */
  readonly fitness: number | null;
}

/**
 * Opens a search's log: a JSON object a line, the first with what makes the search, then a candidate each.
 * A last line that was not finished, by a process that died, is taken off: its candidate is evaluated again.
 * @param search what fixes the search's course, as plain JSON: settings, seed, limit, whatever the fitness hangs on.
 * @throws an Error where the file is another search's, naming what differs, or no log; it is left as it is.
 */
export async function openSearchLog(
  file: string,
  { space, search }: { readonly space: SearchSpace; readonly search: Readonly<Record<string, unknown>> },
): Promise<SearchLog> {
  makeFolders(path.dirname(path.resolve(file)));
  const handle = await fs.open(file, 'a+');
  try {
    const text = await handle.readFile('utf8');
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    const [first, ...rest] = whole.split('\n').slice(0, -1);
    const header = { type: 'search', space: space.choices, ...search };
    if (first === undefined) {
      if (text !== '' && !text.startsWith('{"'))
        throw new Error(`${file} is no log of a search; give the search another file`);
      await handle.truncate(0);
      await write(handle, header);
    } else {
      checkHeader(file, first, header);
      if (whole.length < text.length) await handle.truncate(Buffer.byteLength(whole));
    }
    // The same candidate may stand there twice, by a process that wrote it and died before anyone heard of it.
    const known = new Map(
      rest.map((line, i) => {
        const candidate = readLine(line, space, `${file}, line ${i + 2}`);
        return [candidate.index, candidate];
      }),
    );
    return {
      known: [...known.values()],
      append: ({ architecture, fitness, ...candidate }) =>
        write(handle, {
          ...candidate,
          architecture: formatArchitecture(architecture, space),
          fitness: Number.isFinite(fitness) ? fitness : null,
        } satisfies Line),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function write(handle: fs.FileHandle, line: object): Promise<void> {
  await handle.appendFile(`${JSON.stringify(line)}\n`);
  await handle.datasync();
}

function checkHeader(file: string, line: string, header: Readonly<Record<string, unknown>>): void {
  const found = parsed(line);
  if (!isRecord(found) || found.type !== 'search')
    throw new Error(`${file} is no log of a search; give the search another file`);
  const names = [...new Set([...Object.keys(found), ...Object.keys(header)])];
  const different = names.filter(
    (name) => sortedJson(found[name] ?? null) !== sortedJson(header[name] ?? null),
  );
  if (different.length > 0) {
    const changes = different.map(
      (name) => `${name} was ${shown(found[name])} and is ${shown(header[name])}`,
    );
    throw new Error(
      `${file} is the log of another search: ${changes.join('; ')}. Give this one another file, or remove that one`,
    );
  }
}

function readLine(line: string, space: SearchSpace, place: string): EvaluatedCandidate {
  const found = parsed(line);
  const { index, generation, architecture, origin, parents, fitness } = (
    isRecord(found) ? found : {}
  ) as Partial<Line>;
  const whole = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0;
  if (
    !whole(index) ||
    !whole(generation) ||
    typeof architecture !== 'string' ||
    !origins.includes(origin as CandidateOrigin) ||
    !Array.isArray(parents) ||
    !parents.every(whole) ||
    !(fitness === null || typeof fitness === 'number')
  ) {
    throw new Error(
      `${place} is no candidate of a search: ${line.slice(0, 100)}; remove the file to begin anew`,
    );
  }
  return {
    index,
    generation,
    architecture: parseArchitecture(architecture, space),
    origin: origin!,
    parents,
    fitness: fitness ?? -Infinity,
  };
}

const origins: readonly CandidateOrigin[] = ['random', 'mutation', 'crossover'];

function parsed(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'left out';
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
