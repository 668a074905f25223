/** A small library of its own in a temporary folder, compiled as the project's is and loaded by this process. */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { compileStep, compilerVersion, typescript } from '../../lib/notebook/reload/compile';
import { type LoadRecord, placeInSource, recordLoads } from '../../lib/notebook/reload/loads';
import { createReloader, type Reloader } from '../../lib/notebook/reload/reloader';
import { temporaryFolder } from './helpers';

export class SmallProject {
  readonly root: string = temporaryFolder();
  /** What cells would have declared. */
  locals: Record<string, unknown> = {};
  /** The declarations that the compiler of cells was told of, as file names without folder. */
  readonly types: string[] = [];
  /** Whether the reloader must not be stopped now, and whether there was a time when it could not. */
  busy: boolean = false;
  wasBusy: boolean = false;
  readonly reloader: Reloader;
  private clock: number = Date.now() / 1000 - 10_000;
  private readonly load: NodeJS.Require = createRequire(path.join(this.root, 'cell.js'));

  private readonly record: LoadRecord;

  /**
   * @param files sources by name below lib; an index that passes on everything is added.
   * @param options `loadFirst`: load the index before the recording of loads begins.
   */
  constructor(files: Record<string, string>, options: { loadFirst?: boolean } = {}) {
    const names = Object.keys(files);
    for (const name of names) this.write(name, files[name]);
    if (!files['index.ts']) {
      this.write(
        'index.ts',
        names.map((name) => `export * from './${name.replace(/\.ts$/, '')}';`).join('\n'),
      );
    }
    this.build();
    if (options.loadFirst) this.use();
    this.record = recordLoads(this.root);
    this.reloader = createReloader({
      root: this.root,
      locals: () => this.locals,
      busy: (busy) => {
        this.busy = busy;
        this.wasBusy ||= busy;
      },
      onTypesChanged: (changed) => this.types.push(...changed.map((file) => path.basename(file))),
    });
  }

  write(name: string, text: string): void {
    const file = path.join(this.root, 'lib', name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
    this.touch(name);
  }

  /** Replaces a part of a file. */
  edit(name: string, from: string, to: string): void {
    const text = fs.readFileSync(path.join(this.root, 'lib', name), 'utf8');
    if (!text.includes(from)) throw new Error(`${name} holds no ${from}`);
    this.write(name, text.replace(from, to));
  }

  touch(name: string): void {
    this.clock += 10;
    fs.utimesSync(path.join(this.root, 'lib', name), this.clock, this.clock);
  }

  remove(name: string): void {
    fs.rmSync(path.join(this.root, 'lib', name));
  }

  /** What another process's start does: brings dist up to date. */
  build(): void {
    const source = path.join(this.root, 'lib');
    const stamps: Record<string, string> = {};
    for (const file of compileStep.sources(source)) {
      const name = path.relative(source, file);
      const out = this.dist(name);
      stamps[name] = compileStep.stampOf(file, compilerVersion());
      const compiled = compileStep.compileFile(typescript(), { file, name, out });
      if (compiled.problems.length > 0) throw new Error(compiled.problems.join('\n'));
      compileStep.writeCompiled(out, compiled);
    }
    fs.writeFileSync(path.join(this.root, 'dist', '.stamps.json'), JSON.stringify(stamps));
  }

  /** The compiled file of a source. */
  dist(name: string): string {
    return path.join(this.root, 'dist', name.replace(/\.ts$/, '.js'));
  }

  /** What the library, or one of its files, exports. */
  use<T = Record<string, never>>(name: string = 'index.ts'): T {
    return this.load(this.dist(name)) as T;
  }

  /** Where the code of a stack's frame was written. */
  sourcePlace(script: string, line: number, column: number): object {
    const { name, map } = this.record.sourceMap(script)!;
    return { name, ...placeInSource(JSON.stringify(map), line, column) };
  }

  close(): void {
    this.reloader.close();
    fs.rmSync(this.root, { recursive: true, force: true });
  }
}
