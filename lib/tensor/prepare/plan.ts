/**
 * What a preparation would run, as data: the commands for the CPU build and for the CUDA build. Nothing here starts a
 * process or touches the disk, so tests can say what a machine with an NVIDIA GPU would do.
 */
import path from 'node:path';
import { pipPatience, pipPlain } from './pip';
import { addons, napiVersion, type Variant } from '../prepared';

/** A program and its arguments; run without a shell. */
export interface Command {
  file: string;
  args: string[];
}

/** What the plan is made of; all paths absolute. */
export interface PlanInput {
  variant: Variant;
  /** `x64` or `arm64`, as Node names it. */
  arch: string;
  /** `2.21.0`, or a range that pip understands (`>=2.17,<3`). */
  tensorflow: string;
  /** The Python whose wheels are asked for, `3.12`; left out: pip's own. Any will do: only libraries and headers are used. */
  python?: string;
  /** pip as a command: `['/usr/bin/python3', '-m', 'pip']`. */
  pip: string[];
  /** The C++ compiler: `/usr/bin/c++`. */
  compiler: string;
  /** Where everything is put together, before it is moved into place. */
  directory: string;
  /** The folder of `@tensorflow/tfjs-node-gpu`. */
  tfjsDirectory: string;
  /** The folder of `node-api-headers`. */
  napiDirectory: string;
  /** The folder of our own two C++ files (./native), which keep TensorFlow's log away from notebooks. */
  nativeDirectory: string;
}

/** The commands, and where their results lie. */
export interface PreparationPlan {
  /** Fetches the wheel (CPU) or installs the wheels (CUDA). */
  fetch: Command;
  /** Which of the wheel's files are taken, by prefix. Empty: pip has unpacked them itself. */
  extract: string[];
  /** The folder `tensorflow` of the wheel, with the libraries and `include`. */
  tensorflowDirectory: string;
  /** Compiles stand-ins to link with, the addon that mutes the loading, and the binding. */
  compile: Command[];
  /** Libraries whose symbol tables are cut off: those that pip did not install. */
  shrink: string[];
  /** Deleted once the binding is compiled. */
  remove: string[];
  /** Bytes free on the disk that the preparation needs at its largest. */
  needBytes: number;
}

/** The libraries that the binding is linked with: the C API, and what it rests on. */
export const libraries: readonly string[] = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];

/** Headers of the wheel: TensorFlow's C API, its strings, and Abseil's logging. */
const headers = ['tensorflow/c', 'tensorflow/core/platform', 'xla/tsl', 'tsl', 'absl'].map(
  (name) => `tensorflow/include/${name}/`,
);

/** The commands of a preparation. Pure. */
export function preparationPlan(input: PlanInput): PreparationPlan {
  const { variant, pip, directory } = input;
  const version = /^\d/.test(input.tensorflow) ? `==${input.tensorflow}` : input.tensorflow;
  const [file, ...pipStart] = pip;
  const plain = [...pipPlain, '--no-cache-dir'];
  const wheels = ['--only-binary=:all:', ...(input.python ? ['--python-version', input.python] : [])];
  const cpu = variant === 'cpu';
  // For arm64 there is no tensorflow-cpu: the plain package is the CPU build there.
  const wheel = input.arch === 'x64' ? 'tensorflow-cpu' : 'tensorflow';
  // TensorFlow finds CUDA's wheels by paths relative to its own file: their layout is kept, and the binding points there.
  const site = path.join(directory, 'site');
  const tensorflowDirectory = cpu ? path.join(directory, 'tensorflow') : path.join(site, 'tensorflow');
  const fetch = cpu
    ? [
        'download',
        '--no-deps',
        ...wheels,
        ...pipPatience,
        ...plain,
        '--dest',
        path.join(directory, 'wheel'),
        `${wheel}${version}`,
      ]
    : [
        'install',
        '--target',
        site,
        '--no-compile',
        ...wheels,
        ...pipPatience,
        ...plain,
        `tensorflow[and-cuda]${version}`,
      ];
  const libraryDirectory = cpu ? directory : tensorflowDirectory;
  return {
    fetch: { file, args: [...pipStart, ...fetch] },
    extract: cpu ? [...libraries.map((name) => `tensorflow/${name}`), ...headers] : [],
    tensorflowDirectory,
    compile: [
      ...libraries.map((name) => stubCommand(input, name)),
      muteCommand(input),
      bindingCommand(input, tensorflowDirectory, libraryDirectory),
    ],
    shrink: cpu ? libraries.map((name) => path.join(directory, name)) : [],
    remove: [path.join(directory, 'stubs'), ...(cpu ? [path.join(directory, 'tensorflow')] : [])],
    needBytes: cpu ? 1.3e9 : 9e9,
  };
}

/** As binding.gyp has it; node-gyp (Python, Node's headers) is not needed, since the binding uses only Node-API. */
const flags = (input: PlanInput): string[] => [
  ...['-std=c++17', '-O2', '-fPIC', '-shared', '-pthread', '-fno-exceptions', '-fno-rtti', '-w'],
  ...[`-DNAPI_VERSION=${napiVersion}`, '-DBUILDING_NODE_EXTENSION'],
  ...['-I', path.join(input.napiDirectory, 'include')],
];

/**
 * An empty library of the real one's name, to link with: reading the real one takes the linker seconds and a gigabyte of
 * memory, and what is missing in it comes out in the smoke run.
 */
function stubCommand(input: PlanInput, name: string): Command {
  const out = path.join(input.directory, 'stubs', name);
  const empty = ['-x', 'c++', '/dev/null'];
  return {
    file: input.compiler,
    args: ['-shared', '-fPIC', '-nostdlib', ...empty, `-Wl,-soname,${name}`, '-o', out],
  };
}

function muteCommand(input: PlanInput): Command {
  const source = path.join(input.nativeDirectory, 'mute.cc');
  const module = ['-DNODE_GYP_MODULE_NAME=tfjs_mute', '-o', path.join(input.directory, addons.mute)];
  return { file: input.compiler, args: [...flags(input), source, ...module] };
}

function bindingCommand(input: PlanInput, tensorflowDirectory: string, libraryDirectory: string): Command {
  const { directory, tfjsDirectory } = input;
  const fromBinding = path.relative(directory, libraryDirectory);
  return {
    file: input.compiler,
    args: [
      ...flags(input),
      '-DNODE_GYP_MODULE_NAME=tfjs_binding',
      ...['-I', tfjsDirectory],
      ...['-I', path.join(tensorflowDirectory, 'include')],
      path.join(tfjsDirectory, 'binding', 'tfjs_backend.cc'),
      path.join(tfjsDirectory, 'binding', 'tfjs_binding.cc'),
      path.join(input.nativeDirectory, 'log-level.cc'),
      ...['-o', path.join(directory, addons.binding)],
      ...[`-L${path.join(directory, 'stubs')}`, '-Wl,--no-as-needed', '-Wl,-z,now'],
      ...libraries.map((name) => `-l:${name}`),
      `-Wl,-rpath,${fromBinding === '' ? '$ORIGIN' : `$ORIGIN/${fromBinding}`}`,
    ],
  };
}
