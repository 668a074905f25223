/** What the parts of an SSD cost. */
import { summarize } from '../nn/summary';
import type { Ssd } from './ssd';

/** The parts of an SSD, in the order in which an image goes through them. */
export type SsdPart = 'backbone' | 'extras' | 'adapters' | 'head';

/** One part's share. */
export interface SsdPartCosts {
  readonly part: SsdPart;
  /** Numbers that training updates, normalisation included. */
  readonly parameters: number;
  /** For one image, counted as `summarize` does. */
  readonly multiplyAdds: number;
}

/** Part of a parameter by the first field of its name. */
const parts: Readonly<Record<string, SsdPart>> = {
  backbone: 'backbone',
  extras: 'extras',
  l2Norm: 'adapters',
  equalize: 'adapters',
  head: 'head',
};

/**
 * Parameters and multiply-adds of trunk, extra layers, head, and what stands between them and the head (L2 normalisation, 1x1 convolutions
 * that equalise channels). Runs the network once on an image of zeros of its own size.
 */
export function ssdCosts(model: Ssd): SsdPartCosts[] {
  const { inputSize } = model.config;
  const { rows } = summarize(model, [inputSize, inputSize, 3]);
  const of = (name: string): SsdPart => parts[name.split('.')[0]];
  return (['backbone', 'extras', 'adapters', 'head'] as const).map((part) => ({
    part,
    parameters: model
      .parameters()
      .reduce((sum, { name, variable }) => sum + (of(name) === part ? variable.size : 0), 0),
    multiplyAdds: rows.reduce(
      (sum, { layer, multiplyAdds }) => sum + (of(layer) === part ? multiplyAdds : 0),
      0,
    ),
  }));
}
