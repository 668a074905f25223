/** Values as MIME bundles: what a cell's last expression shows. */
import { inspect } from 'node:util';
import { displaySymbol, type MimeBundle } from '../../plot/display';

/** What the value of a last expression shows; `undefined` where it shows nothing. */
export async function resultBundle(value: unknown): Promise<MimeBundle | undefined> {
  if (value === undefined || value === null) return undefined;
  const show = (value as { [displaySymbol]?: unknown })[displaySymbol];
  if (typeof show === 'function') {
    const bundle = (await show.call(value)) as MimeBundle | undefined | null;
    return bundle ? plainBundle(bundle) : undefined;
  }
  return { 'text/plain': valueText(value) };
}

/**
 * The bundle as it can be sent and stored: pictures given as bytes become base64, everything else is copied through JSON,
 * so that changing an object after showing it does not change the output.
 * @throws TypeError for a bundle that is not an object or holds what JSON can't (a cycle, a bigint), naming the form.
 */
export function plainBundle(bundle: MimeBundle): MimeBundle {
  if (typeof bundle !== 'object' || bundle === null || Array.isArray(bundle)) {
    throw new TypeError(
      `A display is an object of MIME types, such as { 'text/plain': 'hello' }; got ${inspect(bundle)}`,
    );
  }
  const plain: MimeBundle = {};
  for (const [mime, value] of Object.entries(bundle)) {
    if (value === undefined) continue;
    if (value instanceof Uint8Array) plain[mime] = Buffer.from(value).toString('base64');
    else if (typeof value === 'string') plain[mime] = value;
    else {
      try {
        plain[mime] = JSON.parse(JSON.stringify(value)) as unknown;
      } catch (error) {
        throw new TypeError(
          `The ${mime} form of a display can't be written as JSON: ${(error as Error).message}`,
        );
      }
    }
  }
  return plain;
}

/** A value as text, cut where a notebook would drown in it. */
export function valueText(value: unknown): string {
  if (isTensor(value)) return tensorText(value);
  try {
    return inspect(value, { depth: 4, maxArrayLength: 60, maxStringLength: 10_000, breakLength: 100 });
  } catch (error) {
    // A getter or a custom inspector of the value's own failed.
    return `[${typeof value} that can't be shown: ${String(error)}]`;
  }
}

interface TensorLike {
  shape: number[];
  dtype: string;
  size: number;
  isDisposed: boolean;
  toString(verbose: boolean): string;
}

function isTensor(value: unknown): value is TensorLike {
  const t = value as Partial<TensorLike> & { dataId?: unknown };
  return (
    typeof value === 'object' &&
    value !== null &&
    'dataId' in t &&
    Array.isArray(t.shape) &&
    'isDisposed' in t
  );
}

// A tensor's fields say nothing about its values; a reader of a notebook wants the shape, the type and a few numbers.
function tensorText(tensor: TensorLike): string {
  const kind = `Tensor ${tensor.dtype} [${tensor.shape.join(', ')}]`;
  if (tensor.isDisposed) return `${kind} (disposed)`;
  try {
    return tensor.size > 100_000 ? kind : `${kind}\n${tensor.toString(false).replace(/^Tensor\n/, '')}`;
  } catch {
    return kind;
  }
}
