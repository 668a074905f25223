/**
 * Everything of the pack in one run: finds a Vulkan, checks webgpu, measures it beside PyTorch, and writes one JSON file named
 * after the device. run.sh starts it; README.md says how.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { findMachine } from './machine';
import { nvidiaCandidates, temporaryFolder, tryVulkan, type VulkanCandidate, withLibraries } from './vulkan';

const parts = ['checks', 'bench', 'profile', 'kernels'] as const;
type Part = (typeof parts)[number];

const help = `./run.sh [checks] [bench] [profile] [kernels]    all four, unless some are named
  --out FOLDER     where the results go (default: results, here)
  --python FILE    the Python that may have PyTorch (default: python3)
  --quick          one size of each network, few rounds: some minutes on a GPU
  --tiny           sizes for a program in place of a GPU (SwiftShader): shows that everything runs
  --software       take a program where there is no GPU

VK_ICD_FILENAMES, where it is set, names the Vulkan driver to use.
`;

const root = path.resolve(__dirname, '..', '..', '..');

/** The machine's own Vulkan first, then with what the pack brings: the loader's libraries, and descriptions of NVIDIA's driver. */
function candidates(folder: string): VulkanCandidate[] {
  const own: VulkanCandidate[] = [{ what: 'this machine', env: {} }];
  const drivers = process.env.VK_ICD_FILENAMES ? own : [...own, ...nvidiaCandidates(folder)];
  const libraries = path.join(root, 'vulkan');
  if (!fs.existsSync(libraries)) return drivers;
  return [...drivers, ...drivers.map((driver) => withLibraries(driver, libraries))];
}

/** Runs one of the pack's programs with its output shown. Returns how it ended. */
function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [path.join(__dirname, `${program}.js`), ...args], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...env },
    });
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => resolve(signal ?? (code === 0 ? 'done' : `ended with ${code}`)));
  });
}

function readJson(file: string): unknown {
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : undefined;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      out: { type: 'string', default: path.join(root, 'results') },
      python: { type: 'string', default: 'python3' },
      quick: { type: 'boolean', default: false },
      tiny: { type: 'boolean', default: false },
      software: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const unknown = positionals.find((word) => !(parts as readonly string[]).includes(word));
  if (values.help || unknown !== undefined) {
    console.log(unknown === undefined ? help : `there is no part '${unknown}'\n\n${help}`);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  const wanted = parts.filter((part) => positionals.length === 0 || positionals.includes(part));
  const folder = temporaryFolder();
  const machine = findMachine(values.python);
  for (const { name, driver, memory } of machine.gpus)
    console.log(`GPU: ${name}, driver ${driver}, ${memory}`);
  if (machine.gpus.length === 0) console.log('GPU: no NVIDIA driver found');
  const { torch } = machine;
  if (typeof torch === 'string') console.log(`PyTorch: ${torch}`);
  else console.log(`PyTorch: ${torch.version}, ${torch.device ?? 'which sees no GPU'}`);

  const vulkan = await tryVulkan(candidates(folder), values.software);
  if ('reasons' in vulkan) {
    console.error('WebGPU does not work here. What was tried:');
    for (const reason of vulkan.reasons) console.error(`  ${reason}`);
    console.error(explain(vulkan.reasons));
    process.exitCode = 1;
    return;
  }
  console.log(`WebGPU: ${vulkan.adapter} (${vulkan.what})`);

  const results: Record<string, unknown> = {};
  const how: Partial<Record<Part, string>> = {};
  const slug = vulkan.adapter.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '').slice(0, 40); // prettier-ignore
  fs.mkdirSync(values.out, { recursive: true });
  const file = path.join(values.out, `webgpu-${slug}.json`);
  const size = [values.quick ? ['--quick'] : [], values.tiny ? ['--tiny'] : []].flat();
  const rounds = values.tiny ? '2' : values.quick ? '3' : '5';
  const args: Record<Part, readonly string[]> = {
    checks: ['--backend', 'webgpu'],
    bench: [
      ...size,
      ...['--rounds', rounds],
      ...(typeof torch === 'string' || torch.device === undefined ? [] : ['--python', torch.python]),
    ],
    profile: size,
    kernels: [
      ...(values.tiny ? ['--tiny'] : []),
      ...['--rounds', rounds],
      ...(values.quick ? ['--batch', '8'] : []),
    ],
  };
  const programOf: Record<Part, string> = {
    checks: 'functional',
    bench: 'bench',
    profile: 'profile',
    kernels: 'kernels',
  };
  for (const part of wanted) {
    console.log(`\n== ${part}`);
    const json = path.join(folder, `${part}.json`);
    how[part] = await run(programOf[part], [...args[part], '--json', json], vulkan.env);
    results[part] = readJson(json);
    if (how[part] !== 'done') console.log(`${part}: ${how[part]}`);
    // After each part: a run that is cut off leaves what it has.
    const content = {
      measured: new Date().toISOString(),
      pack: readJson(path.join(root, 'pack.json')),
      machine,
      webgpu: { adapter: vulkan.adapter, software: vulkan.software, how: vulkan.what },
      options: { quick: values.quick, tiny: values.tiny },
      ended: how,
      ...results,
    };
    fs.writeFileSync(file, `${JSON.stringify(content, null, 1)}\n`);
  }
  fs.rmSync(folder, { recursive: true, force: true });
  console.log(`\nwritten: ${file}`);
  process.exitCode = Object.values(how).every((end) => end === 'done') ? 0 : 1;
}

/** What is likely to be missing, in one or two sentences. */
function explain(reasons: readonly string[]): string {
  if (reasons.some((reason) => reason.startsWith('not installed')))
    return 'The pack is not whole: make it anew.';
  const driver = nvidiaCandidates(temporaryFolder()).length > 0;
  return driver
    ? 'NVIDIA’s driver is here, but gives no Vulkan device: in a container its graphics capability may be switched off (NVIDIA_DRIVER_CAPABILITIES wants graphics).'
    : 'There is no NVIDIA driver with Vulkan here (libGLX_nvidia.so.0): in a container NVIDIA_DRIVER_CAPABILITIES=all mounts it. --software takes a program in place of a GPU.';
}

void main();
