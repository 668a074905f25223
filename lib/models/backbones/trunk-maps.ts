/** How detectors run their trunks: trained, frozen, or not at all. */
import { contextFor } from '../../nn/freeze';
import type { ForwardContext } from '../../nn/module';
import { offTape } from '../../tensor/gradient-tape';
import { tf } from '../../tensor/tf';
import type { Backbone } from './backbone';

/**
 * The maps of some of a trunk's stages. A frozen trunk (`freezeModule`) runs as in inference, in training too, with nothing kept for a
 * gradient: neither its maps, unless a trained layer needs them, nor a way back through it. `context.trunkMaps` takes its place.
 * @param x `[B, H, W, 3]`, normalised.
 * @param stages from 0.
 * @returns `[B, H_i, W_i, channels[i]]` for each of `stages`; the caller disposes them.
 * @throws RangeError where `context.trunkMaps` lacks a stage, or has another trunk's.
 */
export function trunkMaps(
  trunk: Backbone,
  x: tf.Tensor4D,
  context: ForwardContext,
  stages: readonly number[],
): tf.Tensor4D[] {
  const { trunkMaps: given } = context;
  if (given) return stages.map((stage) => givenMap(given, stage, trunk.channels[stage]).clone());
  return tf.tidy(() => {
    const chosen = (maps: readonly tf.Tensor4D[]): tf.Tensor4D[] => stages.map((stage) => maps[stage]);
    const own = contextFor(trunk, context);
    if (own === context) return chosen(trunk.forward(x, context));
    const maps = offTape(() => trunk.forward(x, own));
    // Handed on by an operation that is noted, so that whoever counts what is kept knows whose the maps are.
    return chosen(maps).map((map) => map.clone());
  });
}

function givenMap(maps: ReadonlyMap<number, tf.Tensor4D>, stage: number, channels: number): tf.Tensor4D {
  const map = maps.get(stage);
  if (map?.shape[3] === channels) return map;
  throw new RangeError(
    `trunkMaps: stage ${stage} has ${channels} channels, ` +
      (map
        ? `the map that is given for it [${map.shape.join(', ')}]; are the features another trunk's?`
        : `and no map is given for it, only for ${[...maps.keys()].join(', ') || 'none'}`),
  );
}
