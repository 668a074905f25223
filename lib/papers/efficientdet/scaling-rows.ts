/** What the published networks cost, counted here, beside what was published of them. */
import { efficientDetCosts } from './costs';
import { type EfficientDetName, efficientDets } from './networks';
import { efficientDetPublished, type PublishedEfficientDet } from './published';

/** A network: costs as `efficientDetCosts` counts them, and the paper's row. */
export interface EfficientDetScalingRow {
  readonly network: EfficientDetName;
  /** Side of the square input, pixels. */
  readonly inputSize: number;
  readonly parameters: number;
  readonly multiplyAdds: number;
  readonly anchors: number;
  readonly published: PublishedEfficientDet;
}

/** D0 to D7x, in this order. @param classes 90 unless told, as published. */
export function efficientDetScalingRows(classes: number = 90): EfficientDetScalingRow[] {
  return (Object.keys(efficientDets) as EfficientDetName[]).map((network) => {
    const { total, anchors } = efficientDetCosts(efficientDets[network], classes);
    const { inputSize } = efficientDets[network];
    return { network, inputSize, ...total, anchors, published: efficientDetPublished[network] };
  });
}
