/** A smoke run of a backend in a child process: a crash in native code must not take the user's process along. */
import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { threadId } from 'node:worker_threads';
import { projectRoot } from './packages';
import { tensorflowCache } from './prepared';

/** What the child process found. */
export interface Smoke {
  ok: boolean;
  /** TensorFlow's version, or the npm package's. */
  version: string;
  /** The work runs on a GPU. */
  gpu: boolean;
  /** WebGPU only: the adapter is a program, not a device. */
  software: boolean;
  /** WebGPU only: the adapter's name. */
  adapter: string;
  /** Why it failed, in one line. */
  error: string;
}

const probeFile = path.join(projectRoot, 'lib', 'tensor', 'probe.cjs');
const rememberFailureMs = 10 * 60_000;

/** Runs lib/tensor/probe.cjs. Never throws: a crash, a timeout and a wrong number are all told in `error`. */
export function smokeRun(
  options: { backend: string; binding?: string },
  { timeoutMs = 120_000, probe = probeFile }: { timeoutMs?: number; probe?: string } = {},
): Promise<Smoke> {
  const failed = (error: string): Smoke => ({
    ok: false,
    version: '',
    gpu: false,
    software: false,
    adapter: '',
    error,
  });
  return new Promise((resolve) => {
    const env: NodeJS.ProcessEnv = {
      ...process.env,
      TF_CPP_MIN_LOG_LEVEL: process.env.TF_CPP_MIN_LOG_LEVEL ?? '3',
    };
    delete env.NODE_OPTIONS; // a debugger or a loader of the parent would start there again
    const child = spawn(process.execPath, [probe, JSON.stringify(options)], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let complaints = '';
    let timedOut = false;
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (complaints = (complaints + chunk.toString()).slice(-4000)));
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.on('error', (error) => {
      clearTimeout(timer);
      resolve(failed(`the smoke run could not be started: ${error.message}`));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const answer = /^@probe (.*)$/m.exec(out);
      if (timedOut) resolve(failed(`the smoke run did not end within ${timeoutMs / 1000} s`));
      else if (answer) resolve({ ...failed(''), ...(JSON.parse(answer[1]) as Partial<Smoke>) });
      else {
        const last = complaints.trim().split('\n').at(-1)?.trim();
        const how = signal ? `crashed (${signal})` : `ended with code ${code} and no answer`;
        resolve(failed(`the smoke run ${how}${last ? `: ${last}` : ''}`));
      }
    });
  });
}

/**
 * `smokeRun` of a binding, remembered: once for each binding (path, size, time), Node version and machine. A failure is
 * remembered for ten minutes only, since a machine short of memory may be the cause.
 */
export async function smokeBinding(binding: string): Promise<Smoke> {
  const file = smokeFile(binding);
  const known = readSmoke(file);
  if (known) return known;
  const smoke = await smokeRun({ backend: 'tensorflow', binding });
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    const partial = `${file}.${process.pid}-${threadId}.tmp`;
    fs.writeFileSync(partial, JSON.stringify(smoke));
    fs.renameSync(partial, file);
  } catch {
    // a full disk: the smoke run is done again next time
  }
  return smoke;
}

/** Forgets what is known of a binding, so that its next use runs it again. */
export function forgetSmoke(binding: string): void {
  fs.rmSync(smokeFile(binding), { force: true });
}

function smokeFile(binding: string): string {
  const stat = fs.statSync(binding);
  const facts = [binding, stat.size, stat.mtimeMs, process.version, process.arch, os.hostname()];
  const name = createHash('sha256').update(facts.join('\n')).digest('hex').slice(0, 24);
  return path.join(tensorflowCache(), 'smoke', `${name}.json`);
}

function readSmoke(file: string): Smoke | undefined {
  try {
    const smoke = JSON.parse(fs.readFileSync(file, 'utf8')) as Smoke;
    if (!smoke.ok && Date.now() - fs.statSync(file).mtimeMs > rememberFailureMs) return undefined;
    return smoke;
  } catch {
    return undefined;
  }
}
