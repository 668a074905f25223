/** The networks that `npm run evaluate` knows, by effdet's names. */
import { effdetPlan, efficientDets, type EfficientDetName } from '../papers/efficientdet/networks';
import { effdetPortedAp, effdetTrainedAp, efficientDetPublished } from '../papers/efficientdet/published';
import { nearest } from '../tensor/nearest';
import { efficientDetNetwork } from './efficientdet';
import type { PublishedAp, PublishedNetwork } from './network';

const trained = ['d0', 'd1', 'd2', 'd3'] as const;

type Make = (softNms: boolean) => PublishedNetwork;

function ported(scale: EfficientDetName): [string, Make] {
  const name = `tf_efficientdet_${scale}`;
  const published: PublishedAp[] = [
    { what: 'effdet, hard NMS', ap: effdetPortedAp[scale] },
    { what: 'the authors, in TensorFlow with soft-NMS', ap: efficientDetPublished[scale].validationAp },
  ];
  return [name, (softNms) => efficientDetNetwork({ name, plan: efficientDets[scale], published, softNms })];
}

function anew(scale: (typeof trained)[number]): [string, Make] {
  const name = `efficientdet_${scale}`;
  const published: PublishedAp[] =
    scale === 'd0' || scale === 'd1' ? [{ what: 'effdet, hard NMS', ap: effdetTrainedAp[scale] }] : [];
  return [name, (softNms) => efficientDetNetwork({ name, plan: effdetPlan(scale), published, softNms })];
}

const networks: ReadonlyMap<string, Make> = new Map([
  ...(Object.keys(efficientDets) as EfficientDetName[]).map(ported),
  ...trained.map(anew),
]);

/** Names that `publishedNetwork` takes. */
export const publishedNetworkNames: readonly string[] = [...networks.keys()];

/**
 * A network by its name: `tf_efficientdet_d0` to `tf_efficientdet_d7x` are the authors', `efficientdet_d0` to `efficientdet_d3` those that
 * effdet trains anew.
 * @throws RangeError with the nearest name, where there is none of this.
 */
export function publishedNetwork(
  name: string,
  options: { readonly softNms?: boolean } = {},
): PublishedNetwork {
  const make = networks.get(name);
  if (make) return make(options.softNms ?? false);
  const near = nearest(name, publishedNetworkNames);
  throw new RangeError(
    `There is no network '${name}'.${near ? ` Did you mean '${near}'?` : ''} There are ${publishedNetworkNames.join(', ')}.`,
  );
}
