/** Puts TensorFlow.js right after code was ended half-way, as the notebook's stop button does to code that never yields. */
import { tf } from './tf';

/** The parts of TensorFlow.js's state that are open while a `tidy`, a kernel or a gradient is at work. */
interface EngineState {
  scopeStack: unknown[];
  gradientDepth: number;
  kernelDepth: number;
  activeTape: unknown;
  activeScope: unknown;
}

const menders: (() => void)[] = [];

/** Adds what else must be put right; it must not throw, and do nothing where nothing is wrong. */
export function addMender(mender: () => void): void {
  menders.push(mender);
}

/**
 * Closes every scope (what was made in them is disposed of, as `tf.tidy` would have done), drops a gradient's recording.
 * Must not be called while anything of TensorFlow.js is running.
 */
export function mendEngine(): void {
  const engine = tf.engine();
  const state = engine.state as unknown as EngineState;
  state.kernelDepth = 0;
  state.gradientDepth = 0;
  state.activeTape = null;
  for (const mend of menders) mend();
  while (state.scopeStack.length > 0) engine.endScope();
}

// The notebook's kernel calls this, wherever its copy of the library is.
(globalThis as { [key: symbol]: unknown })[Symbol.for('detlab.mend')] = mendEngine;
