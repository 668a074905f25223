/** `npm run bench`: how long the parts of training and evaluation take here, beside their rivals. Tests don't judge speed; this does. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArguments, wholeNumber } from '../notebook/runner/arguments';
import { UsageError } from '../notebook/runner/select';
import { useBackend } from '../tensor/backend';
import { nearest } from '../tensor/nearest';
import { threadCount } from '../tensor/native';
import type { Comparison } from './measure';
import type { StepCase } from './steps';

const help: string = `Measures this library beside its rivals, which take turns in every round.

  npm run bench                        all of it, on the fastest backend: a quarter of an hour
  npm run bench -- steps               whole training steps: three detectors, 96 and 192 px, batches of 8 and 32
  npm run bench -- inference           their forward passes
  npm run bench -- nms evaluation      non-maximum suppression; average precision
  npm run bench -- data                images decoded, augmented, batched; training with its data
  npm run bench -- recompute           a training step that computes blocks twice to need less memory
  npm run bench -- reuse               a training step with the trunk fine-tuned, frozen, and its features kept
  npm run bench -- search              a supernet's training step: one graph for all paths, a graph for each, none
  npm run bench -- devices             a training step on this thread, on one device and on two
  npm run bench -- kernel              the notebook's kernel: start, cells, completion, memory
  npm run bench -- --quick             few rounds of small cases
  npm run bench -- --net mbconv        only this network: resnet, mbconv, shuffle
  npm run bench -- --rivals            fetch PyTorch for the comparison, into the cache folder, once
  npm run bench -- --backend wasm      on another backend: tensorflow, wasm, cpu
  npm run bench -- --rounds 9          rounds (5 unless told; 3 with --quick)
  npm run bench -- --json file         write everything that was measured

The table gives the median and the spread of the rounds; ratios are taken round by round, below 1 is faster. The first values
(the loss of the first step) show that all rivals compute the same. DETLAB_BENCH_PYTHON names a Python that has PyTorch
(and pycocotools, for evaluation); DETLAB_THREADS sets the threads of all. Steps are taken in float32 with momentum, PyTorch's in channels_last.
`;

const choices = [
  'steps',
  'inference',
  'nms',
  'evaluation',
  'data',
  'recompute',
  'reuse',
  'search',
  'devices',
  'kernel',
] as const;
type Choice = (typeof choices)[number];

/** Runs the benchmark and prints its tables. Returns the exit code. */
export async function benchCommand(words: string[]): Promise<number> {
  const { flags, values, names } = parseArguments(words, {
    help: 'flag',
    quick: 'flag',
    rivals: 'flag',
    backend: { value: 'wasm' },
    net: { value: 'resnet' },
    rounds: { value: '9' },
    json: { value: 'bench.json' },
  });
  if (flags.has('help')) {
    console.log(help);
    return 0;
  }
  const chosen = choose(names);
  const quick = flags.has('quick');
  const rounds = wholeNumber(values, 'rounds') ?? (quick ? 3 : 5);

  const json = values.get('json');
  // Before the measuring, not after it: a folder that is not there costs a quarter of an hour then.
  if (json !== undefined && !fs.existsSync(path.dirname(path.resolve(json))))
    throw new UsageError(`--json ${json}: there is no folder ${path.dirname(path.resolve(json))}`);

  const backend = await useBackend({ backend: values.get('backend') });
  console.log(backend.line);
  const { growth, growthText, machine, reportRows, reportText } = await import('./report.js');
  const comparisons: Comparison[] = [];
  const cases: [StepCase, Comparison][] = [];
  const notes: string[] = [];
  const note = (line: string): void => {
    notes.push(line);
    console.log(line);
  };
  const show = (measured: readonly Comparison[]): void => {
    comparisons.push(...measured);
    console.log(`\n${reportText(reportRows(measured))}\n`);
  };

  const [load] = os.loadavg();
  if (load > 0.5 * os.availableParallelism())
    note(`load average ${load.toFixed(1)}: other programs are running, which the spread will show`);
  if (chosen.has('steps') || chosen.has('inference')) {
    const { compareSteps, stepCases } = await import('./steps.js');
    const { findTorch } = await import('./torch.js');
    const torch = await findTorch(flags.has('rivals'));
    note('python' in torch ? `beside it: ${torch.about}` : `without PyTorch: ${torch.missing}`);
    const python = 'python' in torch ? torch.python : undefined;
    const options = { backend, rounds, python, visitMilliseconds: quick ? 200 : 500 };
    for (const work of ['training', 'inference'] as const) {
      if (!chosen.has(work === 'training' ? 'steps' : 'inference')) continue;
      const all = stepCases(work, quick);
      const net = values.get('net');
      const wanted = all.filter((one) => net === undefined || one.net === net);
      if (wanted.length === 0)
        throw new UsageError(
          `--net is one of ${[...new Set(all.map((one) => one.net))].join(', ')}, got ${net}`,
        );
      const measured: Comparison[] = [];
      for (const [i, one] of wanted.entries()) {
        console.error(`${work} ${i + 1} of ${wanted.length}: ${one.net}, ${one.size} px, batch ${one.batch}`);
        const comparison = await compareSteps(one, options);
        measured.push(comparison);
        cases.push([one, comparison]);
      }
      show(measured);
    }
    const grown = growth(cases);
    if (grown.length > 0) console.log(`${growthText(grown)}\n`);
  }
  if (chosen.has('nms')) show(await (await import('./suppression.js')).compareSuppression(rounds));
  if (chosen.has('evaluation')) show(await (await import('./evaluation.js')).compareEvaluation(rounds));
  if (chosen.has('data')) show(await (await import('./data.js')).compareData(rounds));
  if (chosen.has('recompute'))
    show(await (await import('./recomputation.js')).compareRecomputation(rounds, note));
  if (chosen.has('reuse')) show(await (await import('./reuse.js')).compareReuse(rounds, note));
  if (chosen.has('search')) show(await (await import('./search.js')).compareSearch(rounds, note));
  if (chosen.has('devices')) show(await (await import('./devices.js')).compareDevices(rounds));
  if (chosen.has('kernel')) show(await (await import('./kernel.js')).compareKernel(rounds, note));

  if (json !== undefined) {
    const content = {
      measured: new Date().toISOString(),
      machine: machine(),
      backend: backend.line,
      threads: threadCount(),
      notes,
      rows: reportRows(comparisons),
      growth: growth(cases),
      rounds: comparisons,
    };
    fs.writeFileSync(json, `${JSON.stringify(content, null, 1)}\n`);
    console.log(`written: ${json}`);
  }
  return 0;
}

function choose(names: readonly string[]): ReadonlySet<Choice> {
  if (names.length === 0 || names.includes('all')) return new Set(choices);
  for (const name of names) {
    if ((choices as readonly string[]).includes(name)) continue;
    const near = nearest(name, [...choices, 'all']);
    throw new UsageError(
      `bench: there is no '${name}'; there are ${choices.join(', ')} and all.${near ? ` Did you mean '${near}'?` : ''}`,
    );
  }
  return new Set(names as Choice[]);
}
