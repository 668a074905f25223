/** How much memory a recorded step needs at its worst moment. */
import type { Recording } from './recording';

/** Ops that hand their first input's memory on. */
const views: ReadonlySet<string> = new Set(['Identity', 'Reshape', 'ExpandDims', 'Squeeze', 'StopGradient']);

/** Bytes of one number, by TensorFlow's number of the type. */
const widths: Readonly<Record<number, number>> = { 1: 4, 2: 8, 3: 4, 9: 8, 10: 1 };

/**
 * Bytes of what the ops return, at the worst moment, if they run in the order in which they were recorded and everything is freed after its last use. TensorFlow
 * runs independent ops side by side and may need more; it may also write a result over an input, and need less. Inputs, constants, variables and what a kernel
 * takes for itself while it runs are not counted; of a choice (`choose`), all branches are.
 */
export function plannedBytes(recording: Recording): number {
  const { ops } = recording;
  const indexOf = new Map(ops.map(({ name }, i) => [name, i]));
  /** The tensor whose memory an output is. */
  const owner = (name: string, output: number): string => {
    const i = indexOf.get(name);
    if (i === undefined) return `${name}:${output}`;
    const { op, inputs } = ops[i];
    return views.has(op) ? owner(inputs[0].name, inputs[0].output) : `${name}:${output}`;
  };
  const lastUse = new Map<string, number>();
  ops.forEach(({ inputs }, i) => {
    for (const { name, output } of inputs) lastUse.set(owner(name, output), i);
  });
  const ends = [...recording.outputs, ...recording.variables.flatMap(({ assigned }) => assigned ?? [])];
  for (const { name, output } of ends) lastUse.set(owner(name, output), ops.length);

  const freedAfter: number[] = ops.map(() => 0);
  let [now, peak] = [0, 0];
  ops.forEach(({ name, op, outputs }, i) => {
    if (!views.has(op)) {
      outputs.forEach(({ shape, dtype }, output) => {
        const bytes = shape.reduce((product, size) => product * size, widths[dtype] ?? 4);
        const last = lastUse.get(`${name}:${output}`) ?? i;
        now += bytes;
        if (last < ops.length) freedAfter[last] += bytes;
      });
    }
    peak = Math.max(peak, now);
    now -= freedAfter[i];
  });
  return peak;
}
