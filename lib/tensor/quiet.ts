/** Keeps the libraries' chatter away from notebooks. Imported before TensorFlow.js. */

/**
 * Deprecations of Node's own functions that TensorFlow.js's dependencies still call: `punycode` (DEP0040, by node-fetch),
 * `util.isArray` and `util.isNullOrUndefined` (DEP0044, DEP0051 and their like), `url.parse` (DEP0169). A reader of a
 * notebook can do nothing about them.
 */
const silenced: ReadonlySet<string> = new Set(['DEP0040', 'DEP0044', 'DEP0051', 'DEP0169']);

type EmitWarning = (warning: string | Error, ...rest: unknown[]) => void;
const marker: unique symbol = Symbol.for('detlab.quiet');
const emit = process.emitWarning as EmitWarning & { [marker]?: true };

if (!emit[marker]) {
  const quiet: EmitWarning & { [marker]?: true } = (warning, ...rest) => {
    const options = rest[0];
    const code =
      typeof options === 'object' && options !== null ? (options as { code?: string }).code : rest[1];
    if (typeof code === 'string' && silenced.has(code)) return;
    emit.call(process, warning, ...rest);
  };
  quiet[marker] = true;
  process.emitWarning = quiet as typeof process.emitWarning;
}
