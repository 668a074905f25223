/**
 * What a detector does with a trunk that has learnt to classify (Vasconcelos, Birodkar and Dumoulin, "Proper Reuse of Image Classification
 * Features Improves Object Detection", CVPR 2022, arXiv 2204.00484): one option of any detector.
 */
import { freezeModule } from '../nn/freeze';
import type { Module } from '../nn/module';
import type { Backbone } from './backbones/backbone';
import { AdaptedBackbone } from './backbones/adapted-backbone';

/**
 * `frozen`: the trunk keeps what it has learnt, batch normalisation in inference mode, and only the rest is trained (the paper's); residual
 * adapters in it are trained. `fine-tuned`: everything is trained from there. `scratch`: everything is trained from random weights.
 */
export type TrunkReuse = 'frozen' | 'fine-tuned' | 'scratch';

/** All of them. */
export const trunkReuses: readonly TrunkReuse[] = ['frozen', 'fine-tuned', 'scratch'];

/**
 * Gives a detector's trunk its weights and says what training does with them. Call it before an optimiser is made.
 * @param load puts the classifier's weights into the trunk, e.g. `(trunk) => loadShippedTrunk('resnet', trunk)`; not called for `scratch`.
 * @returns the trunk; of one with adapters the network that the weights are of.
 * @throws TypeError for a detector whose trunk `detectorTrunk` does not find; what `load` throws.
 */
export async function reuseTrunk(
  detector: { readonly model: Module },
  reuse: TrunkReuse,
  load: (trunk: Backbone) => unknown,
): Promise<Backbone> {
  if (!trunkReuses.includes(reuse)) {
    throw new RangeError(`reuseTrunk: there is no "${String(reuse)}"; there are ${trunkReuses.join(', ')}`);
  }
  const found = detectorTrunk(detector.model);
  const trunk = found instanceof AdaptedBackbone ? found.trunk : found;
  if (reuse !== 'scratch') await load(trunk);
  if (reuse === 'frozen') freezeModule(trunk);
  return trunk;
}

/**
 * The trunk of a detector's network: its field `backbone`, or of a pyramid in that place the `body`.
 * @throws TypeError where there is none.
 */
export function detectorTrunk(model: Module): Backbone {
  const { backbone } = model as { backbone?: unknown };
  const { body } = (backbone ?? {}) as { body?: unknown };
  const trunk = [body, backbone].find(isBackbone);
  if (trunk) return trunk;
  throw new TypeError(
    `detectorTrunk: ${model.constructor.name} has no trunk in its field \`backbone\` or \`backbone.body\`; a trunk has channels, forward and mapSizes`,
  );
}

/**
 * The stages of its trunk that a detector's network takes, from 0: its `taps`, or its pyramid's.
 * @throws TypeError where they are not found.
 */
export function detectorTaps(model: Module): number[] {
  const { backbone, taps = backbone?.taps } = model as Tapping & { backbone?: Tapping };
  if (taps) return [...new Set(taps)];
  throw new TypeError(
    `detectorTaps: ${model.constructor.name} does not say which stages of its trunk it takes (\`taps\`)`,
  );
}

interface Tapping {
  readonly taps?: readonly number[];
}

function isBackbone(value: unknown): value is Backbone {
  const { channels, forward, mapSizes } = (value ?? {}) as Partial<Record<keyof Backbone, unknown>>;
  return Array.isArray(channels) && typeof forward === 'function' && typeof mapSizes === 'function';
}
