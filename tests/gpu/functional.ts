/**
 * The functional subset: kernels, gradients, training steps and detection of a backend, compared with the `cpu` backend's. Run it
 * compiled (compile.mjs): node functional.js --backend webgpu --json checks.json
 */
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type BackendInfo, type Detection, iou, tf, useBackend } from '../../lib/index';
import { normals, type OperationCase, operationCases } from './cases';
import { type Check, compare, type Values } from './compare';
import { modelCases, type ModelResult, runModel } from './models';

/** What the program writes. */
export interface FunctionalReport {
  readonly backend: BackendInfo;
  readonly node: string;
  readonly seconds: number;
  readonly checks: readonly Check[];
}

/** Of one operation: float32 in another order of summation, and shaders' exponentials, which may be a few units off. */
const operationTolerance = 2e-5;
/** Of a network: the differences of its operations, passed through dozens of layers. */
const modelTolerance = 2e-4;

/** Runs `f` on a backend. With `everything` off the CPU that backend computes small tensors on the GPU, too. */
async function on<T>(name: string, everything: boolean, f: () => Promise<T>): Promise<T> {
  await useBackend({ backend: name });
  const small = name === 'webgpu' ? tf.env().getBool('WEBGPU_CPU_FORWARD') : false;
  if (name === 'webgpu' && everything) tf.env().set('WEBGPU_CPU_FORWARD', false);
  try {
    return await f();
  } finally {
    if (name === 'webgpu') tf.env().set('WEBGPU_CPU_FORWARD', small);
  }
}

interface OperationResult {
  readonly value: Values;
  readonly gradients: readonly Values[];
}

async function valuesOf(tensor: tf.Tensor): Promise<Values> {
  return { shape: `${tensor.dtype}[${tensor.shape}]`, numbers: await tensor.data() };
}

async function runOperation({ name, shapes, gradient, run }: OperationCase): Promise<OperationResult> {
  const inputs = shapes.map((shape, i) => {
    const count = shape.reduce((a, b) => a * b, 1);
    return tf.tensor(normals(count, `${name}/${i}`), [...shape]);
  });
  const output = tf.tidy(() => run(...inputs));
  const value = await valuesOf(output);
  let gradients: tf.Tensor[] = [];
  if (gradient) {
    const weighted = (...args: tf.Tensor[]): tf.Tensor => {
      const y = run(...args);
      return tf.sum(tf.mul(y, tf.tensor(normals(y.size, `${name}/dy`), y.shape)));
    };
    gradients = tf.tidy(() => tf.grads(weighted)(inputs));
  }
  const result = { value, gradients: await Promise.all(gradients.map(valuesOf)) };
  tf.dispose([inputs, output, gradients]);
  return result;
}

/** What `f` gives, or what it throws. */
async function attempt<T>(f: () => Promise<T>): Promise<T | Error> {
  try {
    return await f();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

const broken = (group: string, name: string, problem: string): Check => ({
  group,
  name,
  distance: Infinity,
  tolerance: 0,
  ok: false,
  problem,
});

async function checkOperations(backend: string, cases: readonly OperationCase[]): Promise<Check[]> {
  const all = (): Promise<(OperationResult | Error)[]> =>
    cases.reduce<Promise<(OperationResult | Error)[]>>(
      async (before, one) => [...(await before), await attempt(() => runOperation(one))],
      Promise.resolve([]),
    );
  const expected = await on('cpu', false, all);
  const actual = await on(backend, true, all);
  return cases.flatMap(({ group, name }, i): Check[] => {
    const [want, got] = [expected[i], actual[i]];
    if (want instanceof Error) return [broken(group, name, `on cpu: ${want.message}`)];
    if (got instanceof Error) return [broken(group, name, got.message)];
    return [
      compare(group, name, got.value, want.value, operationTolerance),
      ...want.gradients.map((gradient, j) =>
        compare(group, `${name}: gradient ${j}`, got.gradients[j], gradient, operationTolerance),
      ),
    ];
  });
}

/** The detections that have no counterpart, in words; empty where all have. */
function unmatched(found: readonly Detection[], wanted: readonly Detection[]): string {
  if (found.length !== wanted.length) return `${found.length} detections in place of ${wanted.length}`;
  const same = (a: Detection, b: Detection): boolean =>
    a.label === b.label && Math.abs(a.score - b.score) < 1e-3 && iou(a.box, b.box) > 0.99;
  const lost = wanted.filter((one) => !found.some((other) => same(one, other)));
  return lost.length > 0 ? `${lost.length} detections differ, such as ${JSON.stringify(lost[0])}` : '';
}

async function checkModels(backend: string): Promise<Check[]> {
  const checks: Check[] = [];
  for (const one of modelCases) {
    const group = one.name;
    const expected = await on('cpu', false, () => runModel(one));
    // Once more as users have it, for one of them: small tensors that come from the CPU are computed there.
    for (const everything of one === modelCases[0] ? [true, false] : [true]) {
      const where = everything ? ', small tensors too' : '';
      const actual = await on(backend, everything, () => attempt(() => runModel(one)));
      if (actual instanceof Error) checks.push(broken(group, `training${where}`, actual.message));
      else checks.push(...compareModels(group, where, actual, expected));
    }
  }
  return checks;
}

function compareModels(group: string, where: string, actual: ModelResult, expected: ModelResult): Check[] {
  const checks = Object.keys(expected.values).map((name) =>
    compare(group, name + where, actual.values[name], expected.values[name], modelTolerance),
  );
  const problem = expected.detections
    .map((wanted, i) => unmatched(actual.detections[i], wanted))
    .filter((text) => text !== '')
    .join('; ');
  const count = expected.detections.flat().length;
  const ok = problem === '' && count > 0;
  checks.push({
    group,
    name: `${count} detections${where}`,
    distance: ok ? 0 : Infinity,
    tolerance: 0,
    ok,
    ...(ok ? {} : { problem: problem || 'nothing was detected, so that nothing was compared' }),
  });
  if (actual.leaked !== 0) checks.push(broken(group, `memory${where}`, `${actual.leaked} tensors were left`));
  return checks;
}

/** WebGPU's own failures are errors that say what was asked for, and reading without waiting is one. */
async function checkErrors(): Promise<Check[]> {
  const group = 'errors';
  const expectError = async (name: string, pattern: RegExp, f: () => Promise<unknown>): Promise<Check> => {
    const outcome = await attempt(f);
    const ok = outcome instanceof Error && pattern.test(outcome.message);
    const told = outcome instanceof Error ? outcome.message : 'no error';
    return { group, name, distance: 0, tolerance: 0, ok, ...(ok ? {} : { problem: told }) };
  };
  return on('webgpu', true, async () => [
    await expectError('more memory than there is', /to \[\d+\] \(\d+\.0 MiB\): .*[Bb]uffer/, async () => {
      // small to upload, beyond any device's buffers once tiled
      const tiled = tf.tile(tf.ones([2 ** 20]), [2 ** 14]);
      await tf.slice(tiled, 0, 1).data();
    }),
    await expectError('dataSync', /await tensor\.data\(\)/, async () => tf.mul(tf.ones([3]), 2).dataSync()),
    compare(
      group,
      'it goes on after an error',
      await valuesOf(tf.add(tf.ones([3]), 1)),
      { shape: 'float32[3]', numbers: [2, 2, 2] },
      0,
    ),
  ]);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { backend: { type: 'string', default: 'webgpu' }, json: { type: 'string' } },
  });
  const started = performance.now();
  const backend = await useBackend({ backend: values.backend });
  console.log(backend.line);
  const checks = [
    ...(await checkOperations(values.backend, operationCases)),
    ...(await checkModels(values.backend)),
    ...(values.backend === 'webgpu' ? await checkErrors() : []),
  ];
  const seconds = (performance.now() - started) / 1000;
  for (const { ok, group, name, problem } of checks)
    if (!ok) console.log(`WRONG ${group}: ${name}: ${problem}`);
  const wrong = checks.filter(({ ok }) => !ok).length;
  console.log(`${checks.length - wrong} of ${checks.length} checks passed in ${seconds.toFixed(0)} s`);
  const report: FunctionalReport = { backend, node: process.version, seconds, checks };
  if (values.json) {
    fs.mkdirSync(path.dirname(path.resolve(values.json)), { recursive: true });
    // JSON has no infinity
    fs.writeFileSync(
      values.json,
      JSON.stringify(report, (_, v: unknown) => (v === Infinity ? 'infinite' : v), 1),
    );
  }
  process.exitCode = wrong === 0 ? 0 : 1;
}

void main();
