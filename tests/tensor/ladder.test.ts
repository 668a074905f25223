import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { backendInfo, useBackend } from '../../lib/tensor/backend';
import { doctor, formatDoctor } from '../../lib/tensor/doctor';
import { type Finding, ladder, type NativeTensorFlow, parseBackendName } from '../../lib/tensor/ladder';
import { nativeEnvironment, threadCount } from '../../lib/tensor/native';
import { nearest } from '../../lib/tensor/nearest';
import { tf } from '../../lib/tensor/tf';

// What the machine has is decided here, so that the order is tested on any machine.
const found = vi.hoisted(() => ({ tensorflow: {} as object, webgpu: {} as object, starts: [] as string[] }));
vi.mock('../../lib/tensor/ladder', async (original) => ({
  ...(await original<object>()),
  findTensorFlow: () => Promise.resolve(found.tensorflow),
  findWebgpu: () => Promise.resolve(found.webgpu),
}));
vi.mock('../../lib/tensor/native', async (original) => ({
  ...(await original<object>()),
  registerNativeBackend: (file: string) => {
    found.starts.push(file);
    if (file.includes('broken')) throw new Error('libcudnn is missing');
    // The plain backend under the other name stands in for the native one.
    if (!tf.findBackendFactory('tensorflow')) tf.registerBackend('tensorflow', () => tf.findBackend('cpu'));
    return { TF_Version: '2.21.0', isUsingGpuDevice: () => file.includes('cuda') };
  },
}));
vi.mock('../../lib/tensor/smoke', async (original) => ({
  ...(await original<object>()),
  smokeRun: () =>
    Promise.resolve({ ok: true, version: '', gpu: false, software: false, adapter: '', error: '' }),
}));

const nothing: Finding<NativeTensorFlow> = {
  usable: false,
  reason: 'TensorFlow is not prepared',
  remedy: 'npm run prepare-backend',
};
const native = (binding: string, gpu: boolean): Finding<NativeTensorFlow> => ({
  usable: true,
  binding,
  version: '2.21.0',
  gpu,
  source: 'prepared',
});
const saved = process.env.DETLAB_BACKEND;

beforeEach(async () => {
  delete process.env.DETLAB_BACKEND;
  found.tensorflow = nothing;
  found.webgpu = { usable: false, reason: 'not installed: webgpu', remedy: 'npm install --no-save webgpu' };
  found.starts = [];
  await tf.setBackend('cpu');
});
afterEach(() => {
  if (saved === undefined) delete process.env.DETLAB_BACKEND;
  else process.env.DETLAB_BACKEND = saved;
});

describe('the ladder', () => {
  it('goes from GPU to plain JavaScript', () => {
    expect(ladder.map(({ backend, device }) => `${backend} ${device}`)).toEqual([
      'tensorflow gpu',
      'webgpu gpu',
      'tensorflow cpu',
      'wasm cpu',
      'cpu cpu',
    ]);
  });

  it('starts at wasm where there is no TensorFlow, and says why and what would help', async () => {
    process.env.DETLAB_THREADS = '2';
    const info = await useBackend();
    delete process.env.DETLAB_THREADS;
    expect(info).toMatchObject({ name: 'wasm', device: 'cpu', threads: 2 });
    expect(info.line).toMatch(/^backend: wasm 4\.\d+\.\d+ on the CPU \(2 threads, SIMD\)$/);
    expect(info.why).toMatch(/TensorFlow is not prepared \(npm run prepare-backend\)/);
    expect(tf.getBackend()).toBe('wasm');
    expect(backendInfo()).toBe(info);
  });

  it('prefers TensorFlow on the CPU to wasm, and on the GPU to all', async () => {
    found.tensorflow = native('/cpu.node', false);
    await tf.setBackend('cpu');
    expect((await useBackend()).line).toMatch(/^backend: tensorflow 2\.21\.0 on the CPU \(\d+ threads?/);
    found.tensorflow = native('/cuda.node', true);
    await tf.setBackend('cpu');
    expect(await useBackend()).toMatchObject({
      device: 'gpu',
      line: 'backend: tensorflow 2.21.0 on the GPU (CUDA)',
    });
  });

  it('goes on to the next where one that looked usable fails to start', async () => {
    found.tensorflow = native('/broken.node', false);
    const info = await useBackend();
    expect(info.name).toBe('wasm');
    expect(info.why).toMatch(/tensorflow on the CPU: libcudnn is missing/);
  });

  it('is climbed once: later calls and calls at once give the same', async () => {
    found.tensorflow = native('/cpu.node', false);
    const [a, b] = await Promise.all([useBackend(), useBackend()]);
    expect(a).toBe(b);
    expect(await useBackend()).toBe(a);
    expect(found.starts).toHaveLength(1);
  });
});

describe('a forced backend', () => {
  it('is taken from the option before the variable', async () => {
    process.env.DETLAB_BACKEND = 'tensorflow';
    expect(await useBackend({ backend: 'cpu' })).toMatchObject({ name: 'cpu', why: 'forced by backend' });
    process.env.DETLAB_BACKEND = 'WASM ';
    expect(await useBackend()).toMatchObject({ name: 'wasm', why: 'forced by DETLAB_BACKEND' });
  });

  it('fails clearly where it cannot be had', async () => {
    process.env.DETLAB_BACKEND = 'tensorflow';
    await expect(useBackend()).rejects.toThrow(
      "DETLAB_BACKEND asks for 'tensorflow', which can't be had: TensorFlow is not prepared. What would help: npm run prepare-backend",
    );
    await expect(useBackend({ backend: 'webgpu' })).rejects.toThrow(
      /not installed: webgpu.*npm install --no-save webgpu/,
    );
    // and the failure does not stand in the way of the next call
    expect(await useBackend({ backend: 'wasm' })).toMatchObject({ name: 'wasm' });
  });

  it('must be a known name', async () => {
    await expect(useBackend({ backend: 'tensrflow' })).rejects.toThrow(
      "backend: there is no backend 'tensrflow'. Valid: tensorflow, webgpu, wasm, cpu. Did you mean 'tensorflow'?",
    );
    expect(() => parseBackendName('zzzzzz', 'DETLAB_BACKEND')).toThrow(/cpu\.$/);
  });

  it.each(['cpu', 'wasm'])('%s trains: a convolution and its gradients are right', async (backend) => {
    await useBackend({ backend });
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const before = tf.memory().numTensors;
    const x = tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]);
    const w = tf.tensor4d([1, -1, 2, 0.5], [2, 2, 1, 1]);
    const { value, grads } = tf.valueAndGrads((a: tf.Tensor, b: tf.Tensor) =>
      tf.square(tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, 'valid')).sum(),
    )([x, w]);
    // 1*1 - 1*2 + 2*3 + 0.5*4 = 7; the derivatives of 7 squared are 14 times the other factor.
    expect([...(await value.data())]).toEqual([49]);
    expect([...(await grads[0].data())]).toEqual([14, -14, 28, 7]);
    expect([...(await grads[1].data())]).toEqual([14, 28, 42, 56]);
    tf.dispose([x, w, value, ...grads]);
    expect(tf.memory().numTensors).toBe(before);
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });
});

describe('threads and environment', () => {
  it('takes DETLAB_THREADS, and refuses what is no number of threads', () => {
    expect(threadCount({ DETLAB_THREADS: '3' })).toBe(3);
    expect(threadCount({})).toBeGreaterThan(0);
    for (const text of ['0', 'two', '1.5'])
      expect(() => threadCount({ DETLAB_THREADS: text })).toThrow(/DETLAB_THREADS is/);
  });

  it("keeps the user's own settings", () => {
    const environment = nativeEnvironment({ DETLAB_THREADS: '3', TF_CPP_MIN_LOG_LEVEL: '0' });
    expect(environment).toMatchObject({
      TF_CPP_MIN_LOG_LEVEL: '0',
      TF_NUM_INTRAOP_THREADS: '3',
      OMP_NUM_THREADS: '3',
    });
    expect(nativeEnvironment({}).TF_CPP_MIN_LOG_LEVEL).toBe('3');
  });
});

describe('nearest', () => {
  it('finds slips, swaps and beginnings, and nothing that is far', () => {
    const names = ['tensorflow', 'webgpu', 'wasm', 'cpu'];
    expect(nearest('wsam', names)).toBe('wasm');
    expect(nearest('TENSOR', names)).toBe('tensorflow');
    expect(nearest('webgl', names)).toBe('webgpu');
    expect(nearest('cp', names)).toBe('cpu');
    expect(nearest('metal-performance', names)).toBeUndefined();
    expect(nearest('x', [])).toBeUndefined();
  });
});

describe('the doctor', () => {
  it('says of each rung whether it can be used, why, and what would help', async () => {
    const report = await doctor();
    expect(report.rungs.map(({ usable }) => usable)).toEqual([false, false, false, true, true]);
    expect(report.chosen).toMatchObject({ backend: 'wasm' });
    const text = formatDoctor(report);
    expect(text).toMatch(/^ {2}Node +\d+\.\d+\.\d+ \(/m);
    expect(text).toMatch(
      /^ {2}no {3}webgpu on the GPU +not installed: webgpu\n +what would help: npm install --no-save webgpu$/m,
    );
    expect(text).toMatch(/^> yes {2}wasm +4\.\d+\.\d+$/m);
    expect(text).toMatch(/Notebooks run on wasm/);
    // aligned: every detail starts in the same column
    const lines = text.split('\n').filter((line) => /^[> ] (yes|no ) /.test(line));
    const columns = lines.map((line, i) => line.indexOf(report.rungs[i].detail, 28));
    expect(columns).toEqual(Array(5).fill(columns[0]));
    expect(columns[0]).toBeGreaterThan(0);
  });

  it('takes a forced backend into account, and says what is wrong with it', async () => {
    process.env.DETLAB_BACKEND = 'cpu';
    expect((await doctor()).chosen).toMatchObject({ backend: 'cpu' });
    process.env.DETLAB_BACKEND = 'tensorflow';
    const report = await doctor();
    expect(report.chosen).toBeUndefined();
    expect(report.notes.join('\n')).toMatch(/asks for 'tensorflow', which can't be had/);
    process.env.DETLAB_BACKEND = 'wams';
    expect(formatDoctor(await doctor())).toMatch(/Did you mean 'wasm'\?/);
  });
});
