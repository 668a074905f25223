import './quiet';
import './inspect';

/** TensorFlow.js, imported in one place so that the whole library shares one instance: `import { tf } from '../tensor/tf'`. */
export * as tf from '@tensorflow/tfjs';
