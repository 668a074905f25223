/** Functions by name: threads and other machines can't be sent functions, but they can load them. */
import { nearest } from './nearest';

/** A function that was found by its name; whoever asked knows what it takes. */
export type LoadedFunction = (...args: unknown[]) => unknown;

/**
 * The function that a module exports under a name.
 * @param asker begins the message: `loadReplica`
 * @param module `detlab`, or the absolute path of a JavaScript file (.js, .cjs or .mjs)
 * @throws an Error naming the module that can't be loaded, or the export that is not there and the nearest.
 */
export async function loadFunction(asker: string, module: string, name: string): Promise<LoadedFunction> {
  let loaded: Record<string, unknown>;
  try {
    loaded = (await import(module)) as Record<string, unknown>;
  } catch (error) {
    throw new Error(
      `${asker}: ${module} can't be loaded (${(error as Error).message}); give 'detlab' or the absolute path of a JavaScript file`,
      { cause: error },
    );
  }
  // What a CommonJS module exports is there twice; some loaders find only the default.
  const found = { ...(loaded.default as Record<string, unknown> | undefined), ...loaded };
  const wanted = found[name];
  if (typeof wanted === 'function') return wanted as LoadedFunction;
  const functions = Object.keys(found).filter((key) => typeof found[key] === 'function');
  const near = nearest(name, functions);
  throw new Error(
    `${asker}: ${module} exports no function '${name}'${near === undefined ? '' : `; did you mean '${near}'?`}`,
  );
}
