/** The thread that listens to the parent while the main thread runs cells (see lifeline.ts). */
import fs from 'node:fs';
import { Session } from 'node:inspector';
import net from 'node:net';
import path from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type { StoppedFrame } from '../session';
import { flag, type LifelineMessage, lifelineFd, unwindSymbol } from './lifeline';

// A main thread that is between two steps of a training loop hears within this time.
const patienceMs = 300;
// Inside the library or TensorFlow.js, which come back by themselves and should not be left half-way.
const libraryPatienceMs = 3000;
const mostSteps = 200;
// After code was ended, for the main thread to take note.
const settlingMs = 1000;
const nativeNoticeMs = 10_000;

const flags = new Int32Array((workerData as { flags: SharedArrayBuffer }).flags);
const distFolder = path.join(__dirname, '..', '..') + path.sep;
const kernelFolder = path.join(distFolder, 'notebook') + path.sep;
let serial = 0;
let stopping: { force: () => void } | undefined;

const say = (message: LifelineMessage): void => parentPort!.postMessage(message);
const heard = (): boolean => Atomics.load(flags, flag.heard) >= serial;

function interrupt(id: number): void {
  say({ type: 'interrupt', serial: ++serial, id });
  if (stopping) stopping.force();
  else stopping = stop();
}

/** Waits for the main thread to hear of the interrupt; ends the code that keeps it from hearing. */
function stop(): { force: () => void } {
  let start = Date.now();
  let patience = patienceMs;
  let session: Session | undefined;
  let told = false;
  const done = (): void => {
    clearInterval(ticker);
    release();
    stopping = undefined;
  };
  const release = (): void => {
    session?.disconnect();
    session = undefined;
  };
  const ticker = setInterval(() => {
    if (heard()) return done();
    // A compilation ends by itself, and can't be resumed.
    if (Atomics.load(flags, flag.compiling) === 1) return;
    const waited = Date.now() - start;
    if (waited > nativeNoticeMs && !told) {
      told = true;
      // Past the main thread, which can't print now.
      fs.writeSync(2, 'The interrupt waits for native code to return. Restart the kernel if it does not.\n');
    }
    if (waited > patience && !session) pause();
  }, 50);

  function pause(): void {
    session = new Session();
    const own = session;
    const files = new Map<string, string>();
    own.connectToMainThread();
    own.on('Debugger.scriptParsed', ({ params }) => {
      files.set(params.scriptId, params.url.replace(/^file:\/\//, ''));
    });
    let steps = 0;
    own.on('Debugger.paused', ({ params }) => {
      const frames = params.callFrames.map(({ location }): StoppedFrame => {
        const file = files.get(location.scriptId) ?? '';
        return { file, line: location.lineNumber + 1, column: (location.columnNumber ?? 0) + 1 };
      });
      const compiling = Atomics.load(flags, flag.compiling) === 1;
      if (
        heard() ||
        compiling ||
        (isLibrary(frames) && Date.now() - start < Math.max(patience, libraryPatienceMs))
      ) {
        if (patience > 0) patience = libraryPatienceMs;
        release();
        return;
      }
      // Node's own code must not be ended half-way: an error in one of its hooks ends the process. Stepping out of it leads
      // back to the code that is to be ended.
      const [inner] = frames;
      if (!inner || inner.file === '' || inner.file.startsWith('node:')) {
        if (++steps < mostSteps) own.post('Debugger.stepOut');
        else release();
        return;
      }
      const unwound = `globalThis[Symbol.for('${unwindSymbol}')]()`;
      own.post('Runtime.evaluate', { expression: unwound, silent: true });
      // Said while the main thread stands still: it hears of both, the interrupt and this, before it goes on with the cell.
      say({ type: 'stopped', frames });
      own.post('Runtime.terminateExecution');
      // This resumes the code, and so ends it. Where a loop survived, between two of its turns, the next look ends it.
      own.post('Debugger.disable', () => {
        start = Date.now();
        patience = settlingMs;
        release();
      });
    });
    own.post('Debugger.enable');
    own.post('Debugger.pause');
  }
  // Asked again: not even a library's step is waited for.
  return { force: () => (patience = 0) };
}

/** Whether the code is inside a call of the library or of TensorFlow.js. */
function isLibrary(frames: readonly StoppedFrame[]): boolean {
  return frames.some(
    ({ file }) =>
      (file.startsWith(distFolder) && !file.startsWith(kernelFolder)) || file.includes('@tensorflow'),
  );
}

/** Ends this process and all that cells started: the parent is gone. */
function die(): void {
  try {
    if (process.platform !== 'win32') process.kill(-process.pid, 'SIGKILL');
  } catch {
    // Not the leader of a group.
  }
  process.kill(process.pid, 'SIGKILL');
}

const pipe = new net.Socket({ fd: lifelineFd, readable: true, writable: false });
let text = '';
pipe.setEncoding('utf8');
pipe.on('data', (chunk: string) => {
  const lines = (text + chunk).split('\n');
  text = lines.pop()!;
  for (const line of lines) interrupt(Number(line));
});
pipe.on('error', die);
pipe.on('close', die);
