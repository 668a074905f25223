import { describe, expect, it } from 'vitest';
import { type PlanInput, preparationPlan } from '../../../lib/tensor/prepare/plan';

const input: PlanInput = {
  variant: 'cpu',
  arch: 'x64',
  tensorflow: '2.21.0',
  pip: ['/usr/bin/python3', '-m', 'pip'],
  compiler: '/usr/bin/c++',
  directory: '/cache/partial',
  tfjsDirectory: '/app/node_modules/@tensorflow/tfjs-node-gpu',
  napiDirectory: '/app/node_modules/node-api-headers',
  nativeDirectory: '/app/lib/tensor/prepare/native',
};

describe('the plan for the CPU', () => {
  const plan = preparationPlan(input);
  const binding = plan.compile.at(-1)!;

  it('downloads the one wheel, with bounded patience', () => {
    expect(plan.fetch.file).toBe('/usr/bin/python3');
    const words = plan.fetch.args.join(' ');
    expect(words).toMatch(/^-m pip download --no-deps --only-binary=:all: --retries/);
    expect(words).toMatch(/ --retries 1 --timeout 15 /);
    expect(words).toMatch(/ --dest \/cache\/partial\/wheel tensorflow-cpu==2\.21\.0$/);
  });

  it('takes the two libraries and the headers from it, and keeps no headers', () => {
    expect(plan.extract).toContain('tensorflow/libtensorflow_cc.so.2');
    expect(plan.extract).toContain('tensorflow/libtensorflow_framework.so.2');
    expect(plan.extract).toContain('tensorflow/include/tensorflow/c/');
    expect(plan.shrink).toEqual([
      '/cache/partial/libtensorflow_cc.so.2',
      '/cache/partial/libtensorflow_framework.so.2',
    ]);
    expect(plan.remove).toContain('/cache/partial/tensorflow');
  });

  it('compiles the binding as its binding.gyp does, and finds the libraries beside it', () => {
    expect(binding.file).toBe('/usr/bin/c++');
    expect(binding.args).toContain('-DNAPI_VERSION=8');
    expect(binding.args).toContain('/app/node_modules/@tensorflow/tfjs-node-gpu/binding/tfjs_backend.cc');
    expect(binding.args).toContain('/app/node_modules/@tensorflow/tfjs-node-gpu/binding/tfjs_binding.cc');
    expect(binding.args).toContain('/cache/partial/tensorflow/include');
    expect(binding.args).toContain('-l:libtensorflow_cc.so.2');
    expect(binding.args.at(-1)).toBe('-Wl,-rpath,$ORIGIN');
  });

  it('links against stand-ins that bear the real names', () => {
    const stubs = plan.compile.slice(0, 2);
    expect(stubs.map(({ args }) => args.at(-1))).toEqual([
      '/cache/partial/stubs/libtensorflow_cc.so.2',
      '/cache/partial/stubs/libtensorflow_framework.so.2',
    ]);
    expect(stubs[0].args).toContain('-Wl,-soname,libtensorflow_cc.so.2');
    expect(binding.args).toContain('-L/cache/partial/stubs');
    expect(plan.remove).toContain('/cache/partial/stubs');
  });
});

describe('the plan for an NVIDIA GPU', () => {
  const plan = preparationPlan({ ...input, variant: 'cuda' });

  it('installs TensorFlow with its CUDA wheels, in their layout, into the folder', () => {
    const words = plan.fetch.args.join(' ');
    expect(words).toMatch(/^-m pip install --target \/cache\/partial\/site --no-compile /);
    expect(words).toMatch(/ tensorflow\[and-cuda\]==2\.21\.0$/);
    expect(words).not.toContain('--no-deps');
    expect(plan.extract).toEqual([]);
    expect(plan.shrink).toEqual([]);
    expect(plan.remove).toEqual(['/cache/partial/stubs']);
  });

  it('compiles against its headers and points the binding at its libraries, where they are', () => {
    const binding = plan.compile.at(-1)!;
    expect(binding.args).toContain('/cache/partial/site/tensorflow/include');
    expect(binding.args.at(-1)).toBe('-Wl,-rpath,$ORIGIN/site/tensorflow');
  });

  it('asks for more room on the disk', () => {
    expect(plan.needBytes).toBeGreaterThan(5 * preparationPlan(input).needBytes);
  });
});

it('takes the package that has a CPU build for arm64', () => {
  expect(preparationPlan({ ...input, arch: 'arm64' }).fetch.args.at(-1)).toBe('tensorflow==2.21.0');
});

it('asks for the wheels of another Python', () => {
  for (const variant of ['cpu', 'cuda'] as const) {
    const words = preparationPlan({ ...input, variant, python: '3.12' }).fetch.args.join(' ');
    expect(words).toContain(' --only-binary=:all: --python-version 3.12 ');
  }
});

it('passes a range of versions on to pip as it is, and a pip that stands alone', () => {
  const plan = preparationPlan({ ...input, tensorflow: '>=2.17,<3', pip: ['/opt/pip'] });
  expect(plan.fetch.file).toBe('/opt/pip');
  expect(plan.fetch.args[0]).toBe('download');
  expect(plan.fetch.args.at(-1)).toBe('tensorflow-cpu>=2.17,<3');
});
