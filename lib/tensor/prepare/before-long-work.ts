/** What commands do before they begin what takes hours. */
import { prepareTensorFlow } from './prepare';

/**
 * Prepares TensorFlow unless another backend is wanted: hours on the second best one are worth a word first, which is printed.
 * Returns `false` where TensorFlow was asked for and can't be had.
 */
export async function prepareBeforeLongWork(backend: string | undefined): Promise<boolean> {
  if (backend !== undefined && backend !== '' && backend !== 'tensorflow') return true;
  const prepared = await prepareTensorFlow();
  if (prepared.ok) return true;
  console.log(`TensorFlow can't be used: ${prepared.reason}. What would help: ${prepared.remedy}`);
  return backend !== 'tensorflow';
}
