/** Takes over, in a running notebook, what changed in the files of `lib`. */
import type { Showable } from '../../plot/display';

/** Options of `reload`. */
export interface ReloadOptions {
  /** `true`: from now on look before each cell, and swap what can be swapped. `false`: no longer. */
  auto?: boolean;
}

/** A changed file that was not swapped. */
export interface RefusedFile {
  readonly file: string;
  readonly reason: string;
  /** Whether a restart of the kernel loads it; not where the file has a mistake. */
  readonly restart: boolean;
}

/** What `reload` did. It shows itself as a cell's last expression. */
export interface ReloadReport extends Showable {
  /** Files whose code was swapped, with what is new in them: functions, constants, methods. */
  readonly reloaded: readonly { readonly file: string; readonly names: readonly string[] }[];
  /** Files that changed and stay as they were loaded. */
  readonly refused: readonly RefusedFile[];
  /** What else is to know, such as a number that earlier cells still hold. */
  readonly notes: readonly string[];
  /** Whether changes are looked for before each cell. */
  readonly auto: boolean;
}

const symbol = Symbol.for('detlab.reload');

/**
 * Swaps the code of files of `lib` that were edited since this kernel loaded them, where that breaks nothing:
 *
 * - functions and constants are replaced, also under the names that cells gave them by `import`;
 * - a class keeps its instances, which get the new methods;
 * - variables of a module keep their values, and a file stays as it is where they would not fit the new code, where a
 *   constructor or fields of a class changed, or where code that runs as the file loads did: the kernel has to be restarted.
 *
 * Files that use each other are swapped together or not at all. Functions that were handed on before, and work that is
 * under way, go on with the old code of their own file and call the new code of others.
 * @throws outside a notebook, where a script that is started again runs the new code anyway.
 */
export async function reload(options: ReloadOptions = {}): Promise<ReloadReport> {
  const kernel = (globalThis as { [symbol]?: (options: ReloadOptions) => ReloadReport })[symbol];
  if (!kernel) {
    throw new Error(
      'reload: works in cells of a notebook; start this program again to run what changed in lib',
    );
  }
  return kernel(options);
}
