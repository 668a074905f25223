/** A backend as its npm package has it, without the kernels and gradients that this library registers: for plain TensorFlow.js. */
import path from 'node:path';
import { findTensorFlow } from '../tensor/ladder';
import { registerNativeBackend } from '../tensor/native';
import { projectRequire } from '../tensor/packages';
import { tf } from '../tensor/tf';
import { importWebgpu } from '../tensor/webgpu';

/** @throws where the backend can't be had. */
export async function usePlainBackend(name: string): Promise<void> {
  if (name === 'tensorflow') {
    const found = await findTensorFlow();
    if (!found.usable) throw new Error(found.reason);
    registerNativeBackend(found.binding);
  } else if (name === 'wasm') {
    const wasm = projectRequire('@tensorflow/tfjs-backend-wasm') as { setWasmPaths(folder: string): void };
    const binary = projectRequire.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm');
    wasm.setWasmPaths(path.dirname(binary) + path.sep);
  } else if (name === 'webgpu') {
    importWebgpu();
  } else if (name !== 'cpu') {
    throw new Error(`plain TensorFlow.js is measured on tensorflow, webgpu, wasm and cpu, not on ${name}`);
  }
  if (!(await tf.setBackend(name))) throw new Error(`TensorFlow.js could not start its backend '${name}'`);
  await tf.ready();
}
