/** What EfficientDet is compared with (Tan et al., CVPR 2020), as far as it is known. */
import type { PublishedNumber } from '../published';
import { efficientDetPublished, efficientDetSwaps } from './published';

/** A detector that is not an EfficientDet. */
export interface PublishedRival {
  readonly name: string;
  /** COCO, of the images that `images` tells. */
  readonly ap: PublishedNumber;
  readonly images: 'test-dev' | 'val2017';
  /** Thousand millions. */
  readonly multiplyAdds: PublishedNumber;
}

const [resNetFpn, efficientNetFpn] = efficientDetSwaps;

/** Of table 2 and table 4; what is not in a source that was read is marked. */
export const efficientDetRivals: readonly PublishedRival[] = [
  {
    name: 'YOLOv3',
    ap: { value: 33.0, confidence: 'paper', source: 'table 2' },
    images: 'test-dev',
    multiplyAdds: {
      value: Math.round(28 * efficientDetPublished.d0.multiplyAdds.value!),
      confidence: 'arithmetic',
      source: '28 times D0’s (section 5.1)',
    },
  },
  ...[resNetFpn, efficientNetFpn].map(({ name, ap, multiplyAdds }) => ({
    name,
    ap,
    images: 'val2017' as const,
    multiplyAdds,
  })),
  {
    name: 'AmoebaNet + NAS-FPN',
    ap: { value: 50.7, confidence: 'unverified', source: 'table 2, as it is remembered' },
    images: 'test-dev',
    multiplyAdds: { value: 3045, confidence: 'paper', source: 'section 1' },
  },
];
