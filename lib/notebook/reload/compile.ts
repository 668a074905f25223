/** The compiler, loaded when a file of lib has changed and not before, and the step that lib/build.mjs takes with each file. */
import path from 'node:path';
import type * as TypeScript from 'typescript';
import { packageVersion, projectRequire, projectRoot } from '../../tensor/packages';

/** The compiler's interface. */
export type Ts = typeof TypeScript;

/** One file of lib, compiled. */
export interface Compiled {
  js: string;
  /** The source map as JSON; it holds the source. */
  map: string;
  /** The declarations. */
  types: string;
}

interface CompileStep {
  compileFile(
    ts: Ts,
    file: { file: string; name: string; out: string },
  ): Compiled & { problems: readonly string[] };
  sources(folder: string): Iterable<string>;
  stampOf(file: string, compiler: string): string;
  writeCompiled(out: string, compiled: Compiled): void;
}

/** What lib/compile.cjs exports. */
export const compileStep: CompileStep = projectRequire(
  path.join(projectRoot, 'lib', 'compile.cjs'),
) as CompileStep;

/** The project's compiler; the first call takes a few tenths of a second. */
export function typescript(): Ts {
  return projectRequire('typescript') as Ts;
}

/** The version that the build's stamps name. */
export function compilerVersion(): string {
  return packageVersion('typescript') ?? '';
}
