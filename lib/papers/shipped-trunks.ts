/** Trunks that have learnt to classify, in data/weights: the experiments' detectors begin with them, as the papers' with ImageNet's. */
import path from 'node:path';
import type { Backbone } from '../models/backbones/backbone';
import type { ResNetConfig } from '../models/backbones/resnet';
import { projectRoot } from '../tensor/packages';
import { importWeights } from '../weights/import-weights';

/** A trunk that ships. */
export type ShippedTrunk = 'efficientnet' | 'resnet';

/** All of them. */
export const shippedTrunks: readonly ShippedTrunk[] = ['efficientnet', 'resnet'];

/** The residual network that ships as `resnet`: maps of stride 4, 8, 16 and 32. The EfficientNet is `efficientDetRecipes.default`'s. */
export const shippedResNet: ResNetConfig = {
  stem: { kernel: 3, stride: 2, pool: true },
  widths: [16, 32, 64, 96],
  blocks: [1, 1, 1, 1],
};

/** The file that a shipped trunk is in: safetensors, with our own names. */
export function shippedTrunkFile(trunk: ShippedTrunk): string {
  return path.join(projectRoot, 'data', 'weights', 'efficientdet', `${trunk}.safetensors`);
}

/**
 * Gives a trunk of the shipped one's size what that has learnt.
 * @throws where the trunk is of another size, naming what does not fit.
 */
export async function loadShippedTrunk(trunk: ShippedTrunk, backbone: Backbone): Promise<void> {
  await importWeights(backbone, shippedTrunkFile(trunk));
}
