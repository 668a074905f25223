/**
 * A study whose trainings take milliseconds: a number that climbs to a rate of its own, saved after each step. TINY_STEPS, TINY_PAUSE (ms a
 * step), TINY_NOISE and TINY_LOG (a file that gets a line for each step that is computed) change it from outside.
 */
import fs from 'node:fs';
import path from 'node:path';

const steps = Number(process.env.TINY_STEPS ?? 8);
const pause = Number(process.env.TINY_PAUSE ?? 1);

/** @type {import('../../lib/evidence/study').Study} */
export const study = {
  name: 'tiny',
  title: 'A tiny study',
  profiles: ['quick', 'default'],
  metrics: { score: { title: 'Score', diverged: 0 }, norm: { title: 'Gradient norm', digits: 2 } },
  arms: () => [
    { name: 'plain', title: 'as it was', settings: { rate: 0.25 } },
    { name: 'better', title: 'with the idea', settings: { rate: 0.5 } },
    { name: 'wild', title: 'rate too high', settings: { rate: 9 } },
    { name: 'throws', settings: { rate: -1 } },
    { name: 'dies', settings: { rate: -2 } },
  ],
  settings: () => ({ steps, noise: Number(process.env.TINY_NOISE ?? 0.02) }),
  claims: () => [
    {
      name: 'idea',
      text: 'The idea raises the score',
      paper: '67.6 to 72.8',
      comparisons: [
        {
          kind: 'difference',
          metric: 'score',
          arm: 'better',
          than: 'plain',
          direction: 'higher',
          least: 0.05,
        },
      ],
    },
    {
      name: 'rate',
      text: 'Without it a high rate diverges, with it not',
      paper: 'NaN',
      comparisons: [
        { kind: 'divergence', arm: 'wild', diverges: true },
        { kind: 'divergence', arm: 'better', diverges: false },
        { kind: 'difference', metric: 'score', arm: 'better', than: 'wild', direction: 'higher', least: 0.1 },
      ],
    },
    {
      name: 'same',
      text: 'The idea costs nothing',
      paper: 'no loss',
      comparisons: [{ kind: 'equality', metric: 'score', arm: 'better', than: 'plain', margin: 0.01 }],
    },
    {
      name: 'norm',
      text: 'The gradient shrinks',
      paper: 'a figure',
      comparisons: [
        { kind: 'difference', metric: 'norm', arm: 'better', than: 'wild', direction: 'lower', least: 0.1 },
      ],
    },
  ],
  onData: async (folder) => ({
    ...study,
    name: `tiny-on-${path.basename(folder)}`,
    onData: undefined,
    settings: () => ({ ...study.settings(), data: path.basename(folder) }),
    async run(arm, context) {
      context.onNotice(`on ${fs.readdirSync(folder).join(' ')}`);
      return study.run(arm, context);
    },
  }),
  async run(arm, { seed, folder, signal, onProgress, onNotice }) {
    const { rate } = arm.settings;
    if (rate === -1) throw new Error('this arm throws');
    if (rate === -2) process.exit(7);
    const file = path.join(folder, 'state.json');
    let curve = [];
    if (fs.existsSync(file)) curve = JSON.parse(fs.readFileSync(file, 'utf8'));
    onNotice(`begins at step ${curve.length}`);
    const random = ((seed * 7919) % 97) / 97;
    while (curve.length < steps) {
      signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, pause));
      const step = curve.length + 1;
      const value = rate > 1 && step > steps / 2 ? null : rate * (1 - 1 / (step + 1)) + 0.02 * random;
      curve.push({ step, value });
      fs.writeFileSync(`${file}.tmp`, JSON.stringify(curve));
      fs.renameSync(`${file}.tmp`, file);
      if (process.env.TINY_LOG) fs.appendFileSync(process.env.TINY_LOG, `${arm.name} ${seed} ${step}\n`);
      onProgress({ step, steps, note: `score ${value}` });
    }
    const last = curve[curve.length - 1].value;
    const diverged = last === null;
    return {
      metrics: { score: diverged ? NaN : last, norm: diverged ? Infinity : 1 / rate },
      diverged,
      curves: { score: curve },
      tables: { sizes: [{ size: 'small', ap: last }] },
    };
  },
};
