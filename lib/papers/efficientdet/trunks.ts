/** Trunks that have learnt to classify: the shipped ones, and how they were made. The paper takes its trunks from ImageNet. */
import path from 'node:path';
import { loadUpstream } from '../../data/scenes/upstream';
import type { Backbone, BackboneBuilder } from '../../models/backbones/backbone';
import { EfficientNet } from '../../models/backbones/efficientnet';
import { ResNet, resNet50 } from '../../models/backbones/resnet';
import { projectRoot } from '../../tensor/packages';
import { createRandom } from '../../tensor/random';
import { importWeights } from '../../weights/import-weights';
import { type Pretraining, type PretrainOptions, pretrainTrunk } from '../pretraining';
import type { EfficientDetRecipe, EfficientDetTrunk } from './recipes';

/** The trunks of the swaps. */
export const efficientDetTrunks: readonly EfficientDetTrunk[] = ['efficientnet', 'resnet'];

/** Builds a trunk of the recipe's size; of both, the last three stages have strides 8, 16 and 32. */
export function efficientDetTrunk(
  { plan, resnet }: Pick<EfficientDetRecipe, 'plan' | 'resnet'>,
  trunk: EfficientDetTrunk,
): BackboneBuilder {
  if (trunk === 'efficientnet') return (random) => new EfficientNet(plan.trunk, random);
  const small = resnet && { stem: { kernel: 3, stride: 2, pool: true } as const, ...resnet };
  return (random) => new ResNet(small ?? resNet50, random);
}

/** The file that a shipped trunk is in: safetensors, with our own names. */
export function efficientDetTrunkFile(trunk: EfficientDetTrunk): string {
  return path.join(projectRoot, 'data', 'weights', 'efficientdet', `${trunk}.safetensors`);
}

/**
 * Gives a trunk of the small recipes' size what the shipped one has learnt.
 * @throws where the trunk is of another size, naming what does not fit.
 */
export async function loadEfficientDetTrunk(trunk: EfficientDetTrunk, backbone: Backbone): Promise<void> {
  await importWeights(backbone, efficientDetTrunkFile(trunk));
}

/** The seed of the shipped trunks. */
const seed = 1;

/**
 * Makes a shipped trunk: a classifier of things that are none of the detector's classes. `npm run pretrain` writes it to its file.
 * @returns the trunk, which the caller disposes, and how well it classifies drawings of a hand that it has not seen.
 */
export async function pretrainEfficientDetTrunk(
  recipe: EfficientDetRecipe,
  trunk: EfficientDetTrunk,
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
