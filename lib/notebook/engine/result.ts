/** Values as MIME bundles: what a cell's last expression shows. */
import { inspect } from 'node:util';
import { bundleOf, displaySymbol, isShowable, type MimeBundle, type ShownBundle } from '../../plot/display';
import { chartBundle, isChart } from '../../plot/show';
import { boxesView } from '../results/boxes-view';
import { dataView } from '../results/data-view';
import { evaluationView } from '../results/evaluation-view';
import { imageView } from '../results/image-view';
import { layersModelView, moduleView, summaryView } from '../results/module-view';
import { recordsView } from '../results/records-view';
import { tensorView } from '../results/tensor-view';
import { valueText } from '../results/value-text';

export { valueText };

/** Kinds of values that the kernel knows, the most particular first. A view gives `undefined` for what is none of its own. */
const views: readonly ((value: unknown) => ShownBundle | undefined | Promise<ShownBundle | undefined>)[] = [
  tensorView,
  imageView,
  moduleView,
  layersModelView,
  summaryView,
  dataView,
  evaluationView,
  boxesView,
  recordsView,
];

/**
 * What the value of a last expression shows, ready to be sent and stored; `undefined` where it shows nothing. There is always a
 * `text/plain` form.
 * @throws what the value's own `Symbol.for('Jupyter.display')` method throws, and the fault of a chart that can't be drawn. No
 *   other value makes it fail.
 */
export async function shownResult(value: unknown): Promise<ShownBundle | undefined> {
  if (value === undefined || value === null) return undefined;
  if (quietly(() => showsItself(value))) {
    const shown = await bundleOf(value);
    return shown && sendable(shown, value);
  }
  if (quietly(() => isChart(value))) return sendable(await chartBundle(value as never), value);
  for (const view of views) {
    try {
      const shown = await view(value);
      if (shown) return shown;
    } catch {
      // A getter, a proxy, or a tensor whose backend is gone: the text below says what can be said.
    }
  }
  return { bundle: { 'text/plain': valueText(value) }, metadata: {} };
}

/** `in` first: a stand-in that answers every property with a function does not claim to have this one. */
function showsItself(value: unknown): boolean {
  return Object(value) === value && displaySymbol in (value as object) && isShowable(value);
}

function quietly(test: () => boolean): boolean {
  try {
    return test();
  } catch {
    return false;
  }
}

function sendable({ bundle, metadata }: ShownBundle, value: unknown): ShownBundle {
  const plain = plainBundle(bundle);
  const textless = Object.keys(plain).length > 0 && plain['text/plain'] === undefined;
  return {
    bundle: textless ? { ...plain, 'text/plain': valueText(value) } : plain,
    metadata: JSON.parse(JSON.stringify(metadata)) as Record<string, unknown>,
  };
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
