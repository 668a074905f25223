/**
 * Watches the gradient itself, as ScratchDet does to show that batch normalisation smooths the optimisation (section 3.2 and
 * its figure): its L2 norm, and how far it moves from one step to the next.
 */
import { tf } from '../tensor/tf';

/** What the probe measures at one step. */
export interface GradientReading {
  /** ||g_t||, over all parameters together. */
  readonly norm: number;
  /** ||g_t - g_(t-1)||; NaN at the first step. */
  readonly change: number;
}

/** Keeps the last gradient (one more copy of the parameters in memory) and compares each new one with it. */
export class GradientProbe {
  private previous: tf.Tensor1D | undefined;

  /** @param gradients all of a step's gradients; not disposed. */
  async read(gradients: readonly tf.Tensor[]): Promise<GradientReading> {
    const last = this.previous;
    const [flat, measured] = tf.tidy(() => {
      const flat = tf.concat(gradients.map((gradient) => gradient.flatten())) as tf.Tensor1D;
      const norm = flat.square().sum().sqrt();
      const change = last ? flat.sub(last).square().sum().sqrt() : tf.scalar(NaN);
      return [flat, tf.stack([norm, change])] as const;
    });
    last?.dispose();
    this.previous = tf.keep(flat);
    const [norm, change] = await measured.data();
    measured.dispose();
    return { norm, change };
  }

  /** Releases the kept gradient. */
  dispose(): void {
    this.previous?.dispose();
    this.previous = undefined;
  }
}
