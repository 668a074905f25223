/** Finds the files of lib that differ from what this process runs. */
import fs from 'node:fs';
import path from 'node:path';
import { type Compiled, compilerVersion, compileStep, type Ts, typescript } from './compile';
import type { LoadRecord, LoadedModule } from './loads';
import type { Modules } from './library';
import type { Change } from './plan';
import { type ModuleUnits, readUnits, tokensOf } from './units';

/** What a look at lib found. */
export interface Scan {
  /** Loaded files whose code is another now. */
  changes: Change[];
  /** Files that can't be compiled, with the compiler's words, file and line first. */
  broken: { name: string; problems: readonly string[] }[];
  /** Loaded files whose source is gone. */
  deleted: string[];
  /** Declarations that were written anew, of files whose code did not change or is not loaded. */
  types: string[];
}

interface Seen {
  stamp: string;
  /** What ran when the file was looked at. */
  text: string | undefined;
  change?: Change;
  problems?: readonly string[];
}

/**
 * Looks at every file of lib at each scan, by size and time first: what did not change costs one question to the disk. The
 * compiler is loaded when something did. Files that are not loaded are compiled on the spot, so that a later `import` gets
 * what they hold now.
 */
export class Watch {
  private readonly seen: Map<string, Seen> = new Map();
  private readonly units: Map<string, ModuleUnits> = new Map();
  private readonly compiler: string = compilerVersion();
  private readonly source: string;

  constructor(private readonly record: LoadRecord) {
    this.source = path.join(record.root, 'lib');
  }

  scan(): Scan {
    const scan: Scan = { changes: [], broken: [], deleted: [], types: [] };
    const present = new Set<string>();
    let stamps: Record<string, string> | undefined;
    for (const file of compileStep.sources(this.source)) {
      const relative = path.relative(this.source, file);
      const name = relative.split(path.sep).join('/');
      const stamp = this.stampOf(file);
      if (stamp === undefined) continue;
      present.add(name);
      const out = path.join(this.record.dist, relative.replace(/\.ts$/, '.js'));
      const loaded = this.record.modules.get(out);
      let seen = this.seen.get(name);
      if (seen?.stamp !== stamp || seen.text !== loaded?.text) {
        stamps ??= this.readStamps();
        seen = this.examine(file, out, stamp, stamps[relative] === stamp, loaded, scan.types);
        this.seen.set(name, seen);
      }
      if (seen.change) scan.changes.push(seen.change);
      if (seen.problems) scan.broken.push({ name: `lib/${name}`, problems: seen.problems });
    }
    for (const { name } of this.record.modules.values())
      if (!present.has(name)) scan.deleted.push(`lib/${name}`);
    return scan;
  }

  /** The modules that run. */
  running(): Modules {
    const { modules } = this.record;
    return {
      has: (file) => modules.has(file),
      get: (file) => {
        const loaded = modules.get(file);
        return loaded && this.read(typescript(), loaded);
      },
      text: (file) => modules.get(file)!.text,
      files: () => modules.keys(),
    };
  }

  private read(ts: Ts, { file, text }: LoadedModule): ModuleUnits {
    let units = this.units.get(file);
    if (units?.text !== text) this.units.set(file, (units = readUnits(ts, file, text)));
    return units;
  }

  private examine(
    file: string,
    out: string,
    stamp: string,
    built: boolean,
    loaded: LoadedModule | undefined,
    types: string[],
  ): Seen {
    const seen: Seen = { stamp, text: loaded?.text };
    if (built && (!loaded || read(out) === loaded.text)) return seen;
    const onDisk = built ? readCompiled(out) : undefined;
    const ts = typescript();
    const name = `lib/${path.relative(this.source, file).split(path.sep).join('/')}`;
    let compiled: Compiled;
    if (onDisk) compiled = onDisk;
    else {
      const result = compileStep.compileFile(ts, { file, name, out });
      if (result.problems.length > 0) return { ...seen, problems: result.problems };
      compiled = result;
    }
    if (loaded && compiled.js !== loaded.text) {
      const units = readUnits(ts, loaded.file, compiled.js);
      const before = this.read(ts, loaded);
      // Comments and layout are no change of what runs.
      if (tokensOf(units.tree, units.tree) !== tokensOf(before.tree, before.tree)) {
        return { ...seen, change: { loaded, compiled, units } };
      }
      types.push(declarationsOf(out));
    }
    const written = onDisk ?? readCompiled(out);
    if (written?.js !== compiled.js || written.types !== compiled.types) {
      compileStep.writeCompiled(out, compiled);
      if (!types.includes(declarationsOf(out))) types.push(declarationsOf(out));
    }
    return seen;
  }

  private stampOf(file: string): string | undefined {
    try {
      return compileStep.stampOf(file, this.compiler);
    } catch {
      // Deleted or renamed since the folder was read.
      return undefined;
    }
  }

  private readStamps(): Record<string, string> {
    try {
      return JSON.parse(fs.readFileSync(path.join(this.record.dist, '.stamps.json'), 'utf8')) as Record<
        string,
        string
      >;
    } catch {
      return {};
    }
  }
}

/** The declarations beside a compiled file. */
export function declarationsOf(out: string): string {
  return out.replace(/\.js$/, '.d.ts');
}

function readCompiled(out: string): Compiled | undefined {
  const [js, map, types] = [read(out), read(`${out}.map`), read(declarationsOf(out))];
  return js === undefined || map === undefined || types === undefined ? undefined : { js, map, types };
}

function read(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
