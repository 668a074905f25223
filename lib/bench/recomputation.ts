/** `npm run bench -- recompute`: what computing blocks twice costs in time and saves in memory, on a residual network of 16 blocks. */
import { planResNet } from '../models/backbones/plan-resnet';
import { ResNet, resNet50, resNetStems } from '../models/backbones/resnet';
import type { RecomputePlan } from '../nn/recompute-plan';
import { compile } from '../tensor/compile/compile';
import { liveBytes } from '../tensor/live-bytes';
import { createRandom } from '../tensor/random';
import { tf } from '../tensor/tf';
import { type Comparison, takeTurns, type Way } from './measure';

const input: [number, number, number, number] = [8, 96, 96, 3];

/** One loss and its gradients, as training takes them. What each way keeps is told to `note`. */
export async function compareRecomputation(
  rounds: number,
  note: (line: string) => void,
): Promise<Comparison[]> {
  const config = { ...resNet50, stem: resNetStems.half, widths: [16, 32, 64, 128] };
  const resnet = new ResNet(config, createRandom('bench/recompute'));
  const images = tf.randomNormal<tf.Rank.R4>(input, 0, 1, 'float32', 1);
  const root = planResNet(resnet, input, 'sqrt');
  // Half way between the rule's memory and that of keeping everything.
  const budget = planResNet(resnet, input, (root.peakBytes + root.plainPeakBytes) / 2);
  const plans: [string, readonly RecomputePlan[] | undefined, number][] = [
    ['everything kept', undefined, root.plainPeakBytes],
    ['square-root rule', root.stages, root.peakBytes],
    ['half the saving', budget.stages, budget.peakBytes],
  ];
  const ways = plans.map(([name, stages, planned]) => wayOf(name, resnet, stages, planned, images, note));
  const contestants = await takeTurns(rounds, ways);
  ways.forEach((way) => way.dispose());
  images.dispose();
  resnet.dispose();
  const size = `ResNet of 16 blocks, ${input[1]} px`;
  return [{ part: 'recomputation', size, images: input[0], contestants }];
}

/** A step by a plan, compiled where there are graphs. */
function wayOf(
  name: string,
  resnet: ResNet,
  stages: readonly RecomputePlan[] | undefined,
  planned: number,
  images: tf.Tensor4D,
  note: (line: string) => void,
): Way & { dispose(): void } {
  const variables = resnet.parameters().map(({ variable }) => variable);
  const step = compile(
    ({ x }: { x: tf.Tensor4D }) =>
      tf.variableGrads(() => {
        const maps = resnet.forward(x, { training: true });
        return maps[maps.length - 1].square().mean();
      }, variables),
    { check: false },
  );
  const run = (): void => {
    resnet.recompute = stages;
    const { value, grads } = step({ x: images });
    value.dataSync();
    tf.dispose([value, grads]);
  };
  const { before, peak } = liveBytes(run);
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
  const bytes = step.mode === 'graph' ? step.plannedBytes : peak - before;
  note(`${name}: ${megabytes(bytes)} at the worst moment, ${megabytes(planned)} of it kept for gradients`);
  return { name, run, dispose: () => step.dispose() };
}
