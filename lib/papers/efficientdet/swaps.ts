/** What table 4 exchanges, counted: RetinaNet on ResNet-50, on EfficientNet-B3, and EfficientDet-D3. */
import { EfficientNet, efficientNets } from '../../models/backbones/efficientnet';
import { ResNet, resNet50 } from '../../models/backbones/resnet';
import { RetinaNet } from '../../models/retinanet';
import { summarize } from '../../nn/summary';
import { zeroRandom } from '../../tensor/random';
import { type Cost, efficientDetCosts } from './costs';
import { efficientDets } from './networks';
import { efficientDetSwaps, type PublishedSwap } from './published';

/** A row of table 4 with its costs as they are counted here. */
export interface EfficientDetSwapRow extends Cost {
  readonly published: PublishedSwap;
  /** Side of the square input that was counted for, pixels. */
  readonly inputSize: number;
}

/** The paper does not say the rows' resolution: 640 is RetinaNet's in table 2, whose costs are those of row 1; row 3 has D3's. */
const retinaNetSize = 640;

/**
 * The rows of table 4, counted by `summarize` and `efficientDetCosts`.
 * @param classes 90 unless told, as published.
 */
export function efficientDetSwapRows(classes: number = 90): EfficientDetSwapRow[] {
  const retinaNets = [
    new RetinaNet(
      { backbone: (random) => new ResNet(resNet50, random), taps: [1, 2, 3], classes },
      zeroRandom,
    ),
    new RetinaNet(
      { backbone: (random) => new EfficientNet(efficientNets.b3, random), taps: [2, 3, 4], classes },
      zeroRandom,
    ),
  ];
  const costs = retinaNets.map((model) => {
    const { parameters, multiplyAdds } = summarize(model, [retinaNetSize, retinaNetSize, 3]);
    model.dispose();
    return { parameters, multiplyAdds, inputSize: retinaNetSize };
  });
  const d3 = { ...efficientDetCosts(efficientDets.d3, classes).total, inputSize: efficientDets.d3.inputSize };
  return [...costs, d3].map((cost, i) => ({ ...cost, published: efficientDetSwaps[i] }));
}
