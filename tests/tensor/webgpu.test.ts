import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { useBackend } from '../../lib/tensor/backend';
import { repairWebgpu } from '../../lib/tensor/kernels/webgpu';
import { tf } from '../../lib/tensor/tf';
import { watchWebgpu, type WebgpuBackend, type WebgpuProgram } from '../../lib/tensor/webgpu';
import { operationCases } from '../gpu/cases';
import type { FunctionalReport } from '../gpu/functional';
import { modelCases } from '../gpu/models';
import { buildLibrary, projectRoot, temporaryFolder } from '../notebook/helpers';
import { webgpuEnvironment } from './webgpu-environment';

describe('webgpu', async () => {
  const environment = await webgpuEnvironment();
  const without = typeof environment === 'string' ? ` (skipped: ${environment})` : '';
  describe.skipIf(without !== '')(`held to the cpu backend${without}`, () =>
    functionalSubset(environment as NodeJS.ProcessEnv),
  );
});

function functionalSubset(environment: NodeJS.ProcessEnv): void {
  const folder = temporaryFolder();
  let report: FunctionalReport | undefined;
  let output = '';

  // One process for everything: Dawn holds on to its process, and shaders are compiled once.
  beforeAll(async () => {
    buildLibrary();
    await run([path.join(projectRoot, 'tests', 'gpu', 'compile.mjs'), folder], {});
    fs.symlinkSync(path.join(projectRoot, 'dist'), path.join(folder, 'lib'));
    const json = path.join(folder, 'checks.json');
    const program = path.join(folder, 'tests', 'gpu', 'functional.js');
    output = await run([program, '--backend', 'webgpu', '--json', json], environment);
    if (fs.existsSync(json)) report = JSON.parse(fs.readFileSync(json, 'utf8')) as FunctionalReport;
  }, 600_000);
  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

  function run(words: string[], env: NodeJS.ProcessEnv): Promise<string> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, words, { env: { ...process.env, ...env } });
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
      child.on('error', reject);
      child.on('close', () => resolve(text));
    });
  }

  it.each([
    ...new Set(operationCases.map(({ group }) => group)),
    ...modelCases.map(({ name }) => name),
    'errors',
  ])('%s', (group) => {
    expect(report, output).toBeDefined();
    const checks = report!.checks.filter((check) => check.group === group);
    expect(checks.length).toBeGreaterThan(0);
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  });
}

/** A backend that has no GPU: it counts what is queued. */
class FakeBackend extends EventTarget {
  readonly device = Object.assign(new EventTarget(), { lost: new Promise<never>(() => {}) });
  readonly pipelineCache: Record<string, unknown> = {};
  readonly queued: string[] = [];
  readonly stored: Record<string, { dtype: tf.DataType; values?: unknown; resource?: unknown }> = {};
  readonly tensorMap = { get: (id: object) => this.stored[(id as { id: string }).id] };
  failIn: 'upload' | 'queue' | 'read' | undefined;

  private fail(where: string): void {
    if (where !== this.failIn) return;
    const event = Object.assign(new Event('uncapturederror', { cancelable: true }), {
      error: { message: 'out of memory' },
    });
    this.device.dispatchEvent(event);
    expect(event.defaultPrevented).toBe(true);
  }

  runWebGPUProgram(program: WebgpuProgram, inputs: tf.TensorInfo[]): tf.TensorInfo {
    for (const { dataId } of inputs) this.uploadToGPU(dataId);
    this.pipelineCache[program.shaderKey] = program.getUserCode();
    this.recordAndSubmit(program);
    return inputs[0];
  }
  uploadToGPU(id: object): void {
    this.tensorMap.get(id).resource = 'a buffer';
    this.fail('upload');
  }
  recordAndSubmit({ shaderKey }: WebgpuProgram): void {
    this.queued.push(shaderKey);
    this.fail('queue');
  }
  read(): Promise<unknown> {
    this.fail('read');
    return Promise.resolve('values');
  }
  readSync(): unknown {
    return 'values';
  }
}

class AddProgram implements WebgpuProgram {
  readonly outputShape = [512, 1024];
  constructor(
    public shaderKey = 'add',
    private readonly code = '',
  ) {}
  getUserCode(): string {
    return this.code;
  }
}

function fake(dtype: tf.DataType = 'float32', values?: unknown): [FakeBackend, WebgpuBackend, tf.TensorInfo] {
  const backend = new FakeBackend();
  backend.stored.x = { dtype, values };
  const x = { dataId: { id: 'x' }, shape: [512, 1], dtype } as unknown as tf.TensorInfo;
  return [backend, backend as unknown as WebgpuBackend, x];
}

describe('what WebGPU reports', () => {
  it('is thrown by the operation that wanted memory, which is not queued', () => {
    const [inner, backend, x] = fake();
    watchWebgpu(backend);
    inner.failIn = 'upload';
    expect(() => backend.runWebGPUProgram(new AddProgram(), [x], 'float32')).toThrow(
      'webgpu, AddProgram of [512,1] to [512,1024] (2.0 MiB): out of memory',
    );
    expect(inner.queued).toEqual([]);
    expect(inner.stored.x.resource).toBeNull();
    inner.failIn = undefined;
    backend.runWebGPUProgram(new AddProgram(), [x], 'float32');
    expect(inner.queued).toEqual(['add']);
  });

  it('is thrown once, also where it comes late', async () => {
    const [inner, backend, x] = fake();
    watchWebgpu(backend);
    watchWebgpu(backend);
    inner.failIn = 'queue';
    expect(() => backend.runWebGPUProgram(new AddProgram(), [x], 'float32')).toThrow(/out of memory/);
    inner.failIn = 'read';
    await expect(backend.read({ id: 'x' })).rejects.toThrow('webgpu, reading values: out of memory');
    inner.failIn = undefined;
    expect(await backend.read({ id: 'x' })).toBe('values');
  });

  it('says to wait for values, unless they never left', () => {
    const [, backend] = fake();
    watchWebgpu(backend);
    expect(() => backend.readSync({ id: 'x' })).toThrow(/`await tensor\.data\(\)`/);
    const [, other] = fake('float32', new Float32Array(1));
    watchWebgpu(other);
    expect(other.readSync({ id: 'x' })).toBe('values');
  });
});

describe('repairs of programs', () => {
  const store = 'setOutputAtIndex(flatIndex, A[getIndexFromCoords2D(\n coords.yx, uniforms.aShape)]);';

  it.each([
    ['cum_+_false_true', 'cum_+_false_true_1024', 'float32', 'float32', 'x', 'x'],
    ['transpose_1,0', 'transpose_1,0', 'float32', 'float32', store, store],
    ['transpose_1,0', 'transpose_1,0', 'bool', 'bool', store, store.replace('Index(', 'IndexI32(')],
    ['transpose_1,0', 'transpose_1,0', 'int32', 'float32', store, store.replace('A[', 'f32(A[').replace(']);', ']));')],
  ] as const)('%s becomes %s: stored as %s, to %s', (key, newKey, stored, dtype, code, newCode) => {
    const [inner, backend, x] = fake(stored);
    repairWebgpu(backend);
    repairWebgpu(backend);
    backend.runWebGPUProgram(new AddProgram(key, code), [x], dtype);
    expect(inner.pipelineCache).toEqual({ [newKey]: newCode });
  }); // prettier-ignore

  it('refuse a program that is not the one they know', () => {
    const [, backend, x] = fake('int32');
    repairWebgpu(backend);
    expect(() => backend.runWebGPUProgram(new AddProgram('transpose_1,0', 'other'), [x], 'int32')).toThrow(
      /'transpose_1,0' is not the one that is repaired; @tensorflow\/tfjs-backend-webgpu 4\.22\.0/,
    );
  });
});

describe('a function of nothing', () => {
  beforeAll(() => useBackend({ backend: 'cpu' }));

  it.each([
    ['sum', 0],
    ['prod', 1],
    ['max', -Infinity],
    ['min', Infinity],
  ])('%s', (name, value) => {
    const [, backend] = fake();
    repairWebgpu(backend);
    const kernel = tf.getKernel(`${name[0].toUpperCase()}${name.slice(1)}`, 'webgpu');
    const x = tf.zeros([2, 0, 3]);
    const of = (attrs: object): tf.Tensor =>
      kernel.kernelFunc({ inputs: { x }, attrs: attrs as tf.NamedAttrMap, backend }) as tf.Tensor;
    expect(of({ axis: 1, keepDims: false }).shape).toEqual([2, 3]);
    expect(of({ reductionIndices: [1], keepDims: true }).shape).toEqual([2, 1, 3]);
    expect(of({}).dataSync()[0]).toBe(value);
  });
});
