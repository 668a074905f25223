/** EfficientDet's trunks, and how the shipped ones of their size were made. The paper takes its trunks from ImageNet. */
import { loadUpstream } from '../../data/scenes/upstream';
import type { Backbone, BackboneBuilder } from '../../models/backbones/backbone';
import { EfficientNet } from '../../models/backbones/efficientnet';
import { ResNet, resNet50 } from '../../models/backbones/resnet';
import { createRandom } from '../../tensor/random';
import { type Pretraining, type PretrainOptions, pretrainTrunk } from '../pretraining';
import { shippedResNet, type ShippedTrunk } from '../shipped-trunks';
import type { EfficientDetRecipe } from './recipes';

/** Builds a trunk of the recipe's size; of both, the last three stages have strides 8, 16 and 32. */
export function efficientDetTrunk(
  { plan, resnet }: Pick<EfficientDetRecipe, 'plan' | 'resnet'>,
  trunk: ShippedTrunk,
): BackboneBuilder {
  if (trunk === 'efficientnet') return (random) => new EfficientNet(plan.trunk, random);
  const small = resnet && { ...shippedResNet, ...resnet };
  return (random) => new ResNet(small ?? resNet50, random);
}

/** The seed of the shipped trunks. */
const seed = 1;

/**
 * Makes a shipped trunk: a classifier of things that are none of the detector's classes. `npm run pretrain` writes it to its file.
 * @returns the trunk, which the caller disposes, and how well it classifies drawings of a hand that it has not seen.
 */
export async function pretrainEfficientDetTrunk(
  recipe: EfficientDetRecipe,
  trunk: ShippedTrunk,
  options: Pick<PretrainOptions, 'onStep' | 'checkpoint' | 'onNotice'> = {},
): Promise<Pretraining & { readonly backbone: Backbone }> {
  const { classes, perClass } = recipe.pretraining;
  const backbone = efficientDetTrunk(recipe, trunk)(createRandom(`efficientdet/${trunk}/${seed}`));
  const pretraining = await pretrainTrunk({
    ...options,
    // As the trunk's inventors trained it, by SGD.
    recipe: { ...recipe, momentum: 0.9, weightDecay: 4e-5 },
    experiment: 'efficientdet',
    trunk: backbone,
    images: await loadUpstream({ split: 'train', classes, perClass }),
    validation: await loadUpstream({ split: 'val', classes }),
    seed,
  });
  return { ...pretraining, backbone };
}
