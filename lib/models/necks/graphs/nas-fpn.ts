/**
 * NAS-FPN (Ghiasi et al., CVPR 2019): the cell of seven nodes that its search found, from the released code (tensorflow/models,
 * `official/vision/modeling/decoders/nasfpn.py`).
 *
 * The nodes and how they combine are the release's, read there. What brings maps to a node's size and channels is `GraphNeck`'s, that is
 * EfficientDet's: a 1x1 convolution for each use (the release: one a level) and 3x3 max-pools (2x2). How EfficientDet's comparison built
 * it was not published: not verified.
 */
import type { NeckGraph } from '../neck-graph';

/**
 * The release adds inputs that nothing has used to the output of their level, which are P5 and P7. The input whose maximum weighs the
 * other one, the coarser, stands first.
 * @throws RangeError for other levels than 3 to 7, which it was searched for.
 */
export function nasFpn(minLevel: number = 3, maxLevel: number = 7): NeckGraph {
  if (minLevel !== 3 || maxLevel !== 7) {
    throw new RangeError(
      `nasFpn: levels ${minLevel} to ${maxLevel}; the graph that was found has levels 3 to 7`,
    );
  }
  return {
    name: 'NAS-FPN',
    minLevel,
    maxLevel,
    nodes: [
      { name: 'P4 a', level: 4, inputs: ['P6', 'P4'], combine: 'attention' },
      { name: 'P4 b', level: 4, inputs: ['P4', 'P4 a'], combine: 'sum' },
      { name: 'P3 out', level: 3, inputs: ['P3', 'P4 b'], combine: 'sum' },
      { name: 'P4 out', level: 4, inputs: ['P4 b', 'P3 out'], combine: 'sum' },
      { name: 'P5 out', level: 5, inputs: ['P4 out', 'P3 out', 'P5'], combine: 'attention' },
      { name: 'P7 out', level: 7, inputs: ['P5 out', 'P4 b', 'P7'], combine: 'attention' },
      { name: 'P6 out', level: 6, inputs: ['P7 out', 'P5 out'], combine: 'attention' },
    ],
    outputs: ['P3 out', 'P4 out', 'P5 out', 'P6 out', 'P7 out'],
  };
}
