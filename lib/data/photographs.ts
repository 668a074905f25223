/** The photographs in data/photographs, by others and under their terms: what a classifier of ImageNet can be tried on. */
import path from 'node:path';
import { projectRoot } from '../tensor/packages';

/** A photograph that ships. Source and terms of each are in data/photographs/README.md. */
export interface ShippedPhotograph {
  readonly name: string;
  readonly file: string;
  /** Of `imageNetClasses` those that are right for it, or, where none is, those that come near. */
  readonly classes: readonly string[];
  /** Whether one of them is right. */
  readonly exact: boolean;
}

function photograph(name: string, classes: readonly string[], exact: boolean = true): ShippedPhotograph {
  return { name, file: path.join(projectRoot, 'data', 'photographs', `${name}.jpg`), classes, exact };
}

/** All of them; ImageNet has no class for the rocket. */
export const shippedPhotographs: readonly ShippedPhotograph[] = [
  photograph('chelsea', ['tabby', 'tiger cat', 'Egyptian cat']),
  photograph('coffee', ['espresso']),
  photograph('camera', ['tripod']),
  photograph('china', ['palace']),
  photograph('rocket', ['missile', 'projectile', 'space shuttle'], false),
];
