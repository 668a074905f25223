/** The engine's notes for the way back: what TensorFlow.js keeps for a gradient, for those who look into it. Not part of its public interface. */
import { tf } from './tf';

/** What the engine notes of one operation. */
export interface TapeNode {
  readonly inputs: Readonly<Record<string, tf.Tensor | undefined>>;
  readonly outputs: readonly tf.Tensor[];
  /** What its gradient needs. */
  readonly saved?: readonly tf.Tensor[];
  gradient?: TapeGradient;
}

/** Called on the node, whose `inputs` are then those that a gradient is wanted of. */
export type TapeGradient = (this: TapeNode, dys: (tf.Tensor | null)[]) => Record<string, () => tf.Tensor>;

/** What of the engine's state has to do with gradients. */
export interface TapeState {
  /** Operations in their order; none outside gradients. */
  activeTape: TapeNode[] | null | undefined;
  /** How many gradients are being recorded, one within the other. */
  readonly gradientDepth: number;
  /** How many kernels are at work, one within the other; above 0 nothing is noted. */
  kernelDepth: number;
}

/** The engine's own state, not a copy. */
export function tapeState(): TapeState {
  return tf.engine().state as unknown as TapeState;
}

/** Tensors that are made from now on have this number or a higher one. Takes it, so that it is no tensor's. */
export function nextTensorId(): number {
  return (tf.engine() as unknown as { nextTensorId(): number }).nextTensorId();
}

/** Runs `compute` with a gradient in view, which is then not taken: so that what it keeps for one is there while it runs, and gone afterwards. */
export function withTape(compute: () => void): void {
  tf.tidy(() => {
    // The result depends on no input: there is no gradient to take, and the engine drops what was kept for one.
    tf.engine().gradients(
      () => {
        compute();
        return tf.scalar(0);
      },
      [tf.scalar(0)],
      undefined,
      true,
    );
  });
}

/**
 * Runs `compute` with nothing noted for a gradient and nothing kept for one: for computations that no gradient flows through. What it
 * makes is a constant to whatever follows. (`withoutGradient` makes one operation of it, with zeros for a gradient.)
 */
export function offTape<T>(compute: () => T): T {
  const state = tapeState();
  state.kernelDepth++;
  try {
    return compute();
  } finally {
    state.kernelDepth--;
  }
}
