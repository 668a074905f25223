/**
 * Keeps TensorFlow's memory and JavaScript's apart.
 *
 * Where a typed array happens to begin at a multiple of 64 bytes, as one in four does, TensorFlow takes its memory for the tensor's; others it
 * copies. What is shared changes when the array is written to again, and is given back by whichever of TensorFlow's threads is the last to
 * need it, where Node allows that to its own thread alone.
 */

/** A typed array of the library's dtypes. */
type Values = Float32Array | Int32Array | Uint8Array;

/** A copy that TensorFlow copies in its turn: memory begins at multiples of 16 bytes, this four bytes later. Other values as they are. */
export function apart(values: unknown): unknown {
  if (!(values instanceof Float32Array || values instanceof Int32Array || values instanceof Uint8Array))
    return values;
  const offset = 4;
  const Copy = values.constructor as new (buffer: ArrayBuffer, offset: number, length: number) => Values;
  const copy = new Copy(new ArrayBuffer(values.byteLength + offset), offset, values.length);
  copy.set(values);
  return copy;
}
