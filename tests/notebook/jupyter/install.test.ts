import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { jupyterDataFolder } from '../../../lib/notebook/jupyter/data-folder';
import { installCommand } from '../../../lib/notebook/jupyter/install';
import { UsageError } from '../../../lib/notebook/runner/select';
import { projectRoot, temporaryFolder } from '../helpers';
import { type FakeTools, makeTools } from './fake-python';

let shop: FakeTools;
let data: string;
let folder: string;
let said: string[];

beforeEach(() => {
  shop = makeTools(temporaryFolder());
  data = path.join(shop.folder, 'data');
  folder = path.join(data, 'kernels', 'detlab');
  said = [];
  vi.stubEnv('JUPYTER_DATA_DIR', data);
  vi.stubEnv('DETLAB_CACHE', shop.cache);
  vi.stubEnv('PATH', shop.tools);
  const note = (line: string): void => void said.push(line);
  vi.spyOn(console, 'log').mockImplementation(note);
  vi.spyOn(console, 'error').mockImplementation(note);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  fs.rmSync(shop.folder, { recursive: true, force: true });
});

const text = (): string => said.join('\n');
const readSpec = (): { argv: string[] } =>
  JSON.parse(fs.readFileSync(path.join(folder, 'kernel.json'), 'utf8')) as { argv: string[] };
function writeSpec(argv: string[]): void {
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'kernel.json'), JSON.stringify({ argv }));
}

/** Width and height of a PNG, from its header. */
function pngSize(file: string): [number, number] {
  const bytes = fs.readFileSync(file);
  expect(bytes.subarray(1, 4).toString()).toBe('PNG');
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
}

describe('npm run kernel:install', () => {
  it('writes what Jupyter reads: how the kernel starts, its names, its logos', () => {
    expect(installCommand([])).toBe(0);
    expect(readSpec()).toEqual({
      argv: [process.execPath, path.join(projectRoot, 'lib', 'detlab.mjs'), 'kernel', '{connection_file}'],
      display_name: 'TypeScript (detlab)',
      language: 'typescript',
      interrupt_mode: 'message',
      metadata: { debugger: false },
    });
    expect(fs.existsSync(readSpec().argv[1])).toBe(true);
    expect(fs.readdirSync(folder).sort()).toEqual([
      'kernel.json',
      'logo-32x32.png',
      'logo-64x64.png',
      'logo-svg.svg',
    ]);
    expect(pngSize(path.join(folder, 'logo-32x32.png'))).toEqual([32, 32]);
    expect(pngSize(path.join(folder, 'logo-64x64.png'))).toEqual([64, 64]);
    expect(text()).toContain(folder);
    expect(text()).toMatch(/Select Kernel > Jupyter Kernel > TypeScript \(detlab\)/);
    expect(text()).toMatch(/no `jupyter` on PATH/);
  });

  it('may be run again, and gives the same', () => {
    installCommand([]);
    const before = readSpec();
    expect(installCommand([])).toBe(0);
    expect(readSpec()).toEqual(before);
  });

  it('takes the place of another clone, and says of which', () => {
    const argv = ['/old/node', '/old/clone/lib/detlab.mjs', 'kernel', '{connection_file}'];
    writeSpec(argv);
    expect(installCommand([])).toBe(0);
    expect(readSpec().argv[0]).toBe(process.execPath);
    expect(text()).toContain(`was that of /old/clone; now it is that of ${projectRoot}`);
  });

  it.each([
    ['of somebody else', JSON.stringify({ argv: ['python', '-m', 'other'] }), /python -m other/],
    ['that is broken', '{"argv": [', /not valid JSON/],
    ['of another shape', 'null', /starts `nothing`/],
  ])('leaves a kernelspec %s alone', (_, content, problem) => {
    fs.mkdirSync(folder, { recursive: true });
    const file = path.join(folder, 'kernel.json');
    fs.writeFileSync(file, content);
    for (const words of [[], ['--remove']]) expect(installCommand(words)).toBe(1);
    expect(fs.readFileSync(file, 'utf8')).toBe(content);
    expect(text()).toMatch(problem);
    expect(text()).toContain('move or delete that folder first');
  });

  it('says what is in the way when it can not write, and leaves no half file', () => {
    fs.writeFileSync(data, 'a file');
    expect(installCommand([])).toBe(1);
    expect(text()).toMatch(/could not be installed: .*a part of that path is a file/);
    fs.rmSync(data);
    fs.mkdirSync(path.join(folder, 'logo-32x32.png'), { recursive: true });
    expect(installCommand([])).toBe(1);
    expect(fs.readdirSync(folder)).toEqual(['logo-32x32.png']);
  });

  it('installs into one Python environment', () => {
    const prefix = path.join(shop.folder, 'venv');
    fs.mkdirSync(prefix);
    expect(installCommand(['--prefix', prefix])).toBe(0);
    const inside = path.join(prefix, 'share', 'jupyter', 'kernels', 'detlab');
    expect(fs.existsSync(path.join(inside, 'kernel.json'))).toBe(true);
    expect(fs.existsSync(folder)).toBe(false);
    expect(installCommand(['--remove', '--prefix', prefix])).toBe(0);
    expect(fs.existsSync(inside)).toBe(false);
  });

  it('refuses an environment that is not there, and words that mean nothing', () => {
    const missing = path.join(shop.folder, 'nothing');
    expect(() => installCommand(['--prefix', missing])).toThrow(/does not exist.*sys\.prefix/);
    expect(() => installCommand(['venv'])).toThrow(UsageError);
    expect(() => installCommand(['--prefixx', missing])).toThrow(/Did you mean '--prefix'/);
  });

  it('removes what it wrote, and nothing else', () => {
    installCommand([]);
    fs.writeFileSync(path.join(folder, 'mine.txt'), 'kept');
    expect(installCommand(['--remove'])).toBe(0);
    expect(fs.readdirSync(folder)).toEqual(['mine.txt']);
    expect(text()).toMatch(/What is not detlab's stays there: mine\.txt/);
    expect(installCommand(['--remove'])).toBe(0);
    expect(text()).toMatch(/There is no kernel to remove/);
  });
});

describe.skipIf(process.platform === 'win32')('what the jupyter on PATH says about it', () => {
  const listing = (directory: string | undefined): void => {
    const kernelspecs = directory === undefined ? {} : { detlab: { resource_dir: directory, spec: {} } };
    shop.tool('jupyter', `echo '${JSON.stringify({ kernelspecs })}'\n`);
  };

  it('is asked, and its answer is told', () => {
    listing(folder);
    installCommand([]);
    expect(shop.calls()).toEqual(['jupyter kernelspec list --json']);
    expect(text()).toMatch(/`jupyter kernelspec list` shows it as 'detlab'/);
  });

  it('may be that it looks elsewhere', () => {
    listing(undefined);
    installCommand([]);
    expect(text()).toMatch(/does not list it.*--prefix DIR/);
  });

  it('may be that another kernel of the name comes first', () => {
    const other = path.join(shop.folder, 'other');
    fs.mkdirSync(other);
    listing(other);
    installCommand([]);
    expect(text()).toContain(`takes another kernel of that name first: ${other}`);
  });

  it('is followed by how to teach papermill, where that is there', () => {
    installCommand([]);
    expect(text()).not.toMatch(/papermill/);
    shop.tool('papermill', 'exit 1\n');
    installCommand([]);
    const plugin = /papermill: .*python -m pip install "(.*)"/.exec(text())?.[1];
    expect(fs.readdirSync(plugin!)).toContain('pyproject.toml');
  });

  it('may be nothing, when it is broken', () => {
    shop.tool('jupyter', 'echo broken; exit 1\n');
    expect(installCommand([])).toBe(0);
    expect(text()).toMatch(/could not be asked/);
  });
});

describe("Jupyter's data folder", () => {
  const home = path.join('/', 'home', 'ada');
  it.each([
    ['linux', {}, path.join(home, '.local', 'share', 'jupyter')],
    ['linux', { XDG_DATA_HOME: '/xdg' }, path.join('/xdg', 'jupyter')],
    ['darwin', { XDG_DATA_HOME: '/xdg' }, path.join(home, 'Library', 'Jupyter')],
    ['win32', { APPDATA: '/roaming' }, path.join('/roaming', 'jupyter')],
    ['win32', {}, path.join(home, '.jupyter', 'data')],
    ['linux', { JUPYTER_DATA_DIR: path.resolve('/own') }, path.resolve('/own')],
  ] as const)('on %s with %o', (platform, env, expected) => {
    expect(jupyterDataFolder(env, platform, home)).toBe(expected);
  });
});
