/** `npm run bench -- devices`: a training step on one thread, and shared out among devices. */
import { megDetReplica, type MegDetReplicaSettings } from '../papers/megdet/on-devices';
import { megDetRecipes } from '../papers/megdet/recipes';
import { RandomStream } from '../tensor/random-stream';
import { DeviceGroup } from '../train/devices/device-group';
import { type AcrossDevices, deviceJobs } from '../train/devices/device-jobs';
import { loadReplica } from '../train/devices/replica';
import { shareOut } from '../train/devices/shards';
import { repeatedStep } from '../train/repeated-step';
import { saveState } from '../train/run-state';
import { Sgd } from '../train/sgd';
import { type Comparison, takeTurns, type Way } from './measure';
import { randomBatch } from './random-batch';

const images = 16;
const rate = 1e-3;

/** Steps of the small Faster R-CNN of MegDet's notebook, 16 images each, however many devices share them. */
export async function compareDevices(rounds: number): Promise<Comparison[]> {
  const recipe = megDetRecipes.default;
  const { inputSize } = recipe.plan;
  const settings: MegDetReplicaSettings = { recipe, arm: { batchNorm: 'batch' }, classes: 3, seed: 1 };
  const source = { module: 'detlab', name: 'megDetReplica', settings };
  const batch = randomBatch(images, inputSize);
  const own = await loadReplica(source);
  const replica = await megDetReplica(settings);
  const alone = { name: 'this thread', ...repeatedStep(replica, batch) };
  const groups: (Way & { close(): Promise<void> })[] = [];
  for (const [name, devices, compile, batchNorm] of ways) {
    const jobs = deviceJobs({
      source,
      devices,
      batchNorm,
      compile,
      clipNorm: Infinity,
      gradientChange: false,
    });
    const group = await DeviceGroup.start({ jobs, timeoutSeconds: 300 });
    const optimizer = new Sgd(own.model.parameters());
    const random = new RandomStream(settings.seed);
    await group.load(await saveState({ model: own.model, optimizer, random, step: { slots: () => [] } }));
    optimizer.dispose();
    random.dispose();
    const shards = shareOut(images, devices);
    groups.push({ name, run: () => group.step(batch, shards, rate), close: () => group.close() });
  }
  const contestants = await takeTurns(rounds, [alone, ...groups]);
  for (const group of groups) await group.close();
  alone.dispose();
  replica.model.dispose();
  own.model.dispose();
  return [{ part: 'data-parallel step', size: `${inputSize} px`, images, contestants }];
}

const all: AcrossDevices = { devices: 'all' };
const ways: readonly (readonly [
  name: string,
  devices: number,
  compile: boolean,
  batchNorm: AcrossDevices | undefined,
])[] = [
  ['1 device', 1, true, undefined],
  ['2 devices', 2, true, undefined],
  ['1 device, eager', 1, false, undefined],
  ['2 devices, eager', 2, false, undefined],
  ['2 devices, batch norm across', 2, true, all],
];
