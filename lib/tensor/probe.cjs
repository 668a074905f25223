// Run as a child process, since native code can crash: brings up one backend, trains a two-by-two convolution a step and
// checks the numbers. Prints one line of JSON. Plain JavaScript so that nothing has to be compiled to run it.
//   node probe.cjs '{"backend":"tensorflow","binding":"/…/tfjs_binding.node"}'
'use strict';
const path = require('node:path');
const { createRequire } = require('node:module');
const util = require('node:util');

const report = { ok: false, version: '', gpu: false, software: false, adapter: '' };

async function main(options) {
  const require = createRequire(path.join(__dirname, '..', '..', 'package.json'));
  console.warn = () => {};
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';
  util.isNullOrUndefined = (value) => value === null || value === undefined;
  util.isArray = Array.isArray;
  let tf;
  if (options.backend === 'tensorflow') {
    const binding = require(options.binding);
    report.version = String(binding.TF_Version);
    report.gpu = Boolean(binding.isUsingGpuDevice());
    tf = require('@tensorflow/tfjs');
    require('@tensorflow/tfjs-node-gpu/dist/register_all_kernels.js');
    const { NodeJSKernelBackend } = require('@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js');
    tf.registerBackend('tensorflow', () => new NodeJSKernelBackend(binding, '@tensorflow/tfjs-node-gpu'), 3);
  } else {
    tf = require('@tensorflow/tfjs');
    report.version = tf.version_core;
    if (options.backend === 'wasm') {
      const wasm = require('@tensorflow/tfjs-backend-wasm');
      wasm.setWasmPaths(
        path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm')) + path.sep,
      );
    } else if (options.backend === 'webgpu') {
      const { create, globals } = await import(require.resolve('webgpu'));
      Object.assign(globalThis, globals);
      if (!globalThis.navigator) globalThis.navigator = {};
      Object.defineProperty(globalThis.navigator, 'gpu', { value: create([]), configurable: true });
      const adapter = await globalThis.navigator.gpu.requestAdapter();
      if (!adapter)
        throw new Error(
          'no WebGPU adapter: the graphics driver offers no Vulkan, Metal or Direct3D 12 device',
        );
      const info = adapter.info ?? {};
      report.adapter = [info.vendor, info.architecture, info.device, info.description]
        .filter(Boolean)
        .join(' ');
      report.software =
        Boolean(info.isFallbackAdapter) ||
        /swiftshader|llvmpipe|lavapipe|software|basic render/i.test(report.adapter);
      report.gpu = !report.software;
      report.version = require('@tensorflow/tfjs-backend-webgpu/package.json').version;
      require('@tensorflow/tfjs-backend-webgpu');
    }
  }

  if (!(await tf.setBackend(options.backend)))
    throw new Error(`TensorFlow.js could not start '${options.backend}'`);
  await tf.ready();
  const x = tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]);
  const w = tf.tensor4d([1, -1, 2, 0.5], [2, 2, 1, 1]);
  // 1*1 - 1*2 + 2*3 + 0.5*4 = 7, and the derivative of 7 squared by the input is 14 times the weights.
  const { value, grad } = tf.valueAndGrad((input) => tf.square(tf.conv2d(input, w, 1, 'valid')).sum())(x);
  const got = [...(await value.data()), ...(await grad.data())];
  const want = [49, 14, -14, 28, 7];
  if (got.some((v, i) => !(Math.abs(v - want[i]) < 1e-3))) {
    throw new Error(`a convolution and its gradient gave [${got}] instead of [${want}]`);
  }
  report.ok = true;
  return report;
}

// Dawn keeps threads alive that would hold the process: leave once the answer is out.
const answer = (report) =>
  process.stdout.write(`\n@probe ${JSON.stringify(report)}\n`, () => process.exit(report.ok ? 0 : 1));
main(JSON.parse(process.argv[2])).then(answer, (error) =>
  answer({ ...report, error: String(error?.message ?? error).split('\n')[0] }),
);
