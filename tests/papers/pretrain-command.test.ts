/** `npm run pretrain`: what it says, and that a trunk is made again from the same seed. */
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { efficientDetRecipes, pretrainEfficientDetTrunk, tf, useBackend } from 'detlab';
import { pretrainCommand } from '../../lib/papers/pretrain-command';

beforeAll(async () => {
  await useBackend();
});

describe('the command', () => {
  async function said(args: string[]): Promise<{ code: number; text: string }> {
    const lines: string[] = [];
    const write = (line: string): void => void lines.push(line);
    const spies = [
      vi.spyOn(console, 'log').mockImplementation(write),
      vi.spyOn(console, 'error').mockImplementation(write),
    ];
    const code = await pretrainCommand(args);
    for (const spy of spies) spy.mockRestore();
    return { code, text: lines.join('\n') };
  }

  test('lists the trunks', async () => {
    const { code, text } = await said(['--help']);
    expect(code).toBe(0);
    expect(text).toMatch(/efficientnet, resnet, drawings-12x64, .*drawings-200x16/);
    expect(text).not.toMatch(/drawings-200x64/); // ships as resnet
  });

  test('names the nearest of a trunk that there is not', async () => {
    expect(await said(['resnt'])).toEqual({
      code: 1,
      text: 'pretrain: there is no trunk "resnt"; did you mean "resnet"?',
    });
  });
});

test('the same seed gives the same trunk, and no tensors are left', { timeout: 120_000 }, async () => {
  const recipe = {
    ...efficientDetRecipes.quick,
    pretraining: { classes: 3, perClass: 8, steps: 3, batchSize: 8, learningRate: 0.05 },
  };
  const make = async () => {
    const before = tf.memory().numTensors;
    const { backbone, accuracy, training } = await pretrainEfficientDetTrunk(recipe, 'resnet');
    const first = Array.from(backbone.parameters()[0].variable.dataSync());
    backbone.dispose();
    expect(tf.memory().numTensors).toBe(before);
    return { first, accuracy, losses: training.logs.map(({ loss }) => loss) };
  };
  const once = await make();
  expect(once.losses).toHaveLength(3);
  expect(once.accuracy).toBeGreaterThanOrEqual(0);
  expect(await make()).toEqual(once);
});
