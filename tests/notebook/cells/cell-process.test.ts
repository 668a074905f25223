import { execFile } from 'node:child_process';
import path from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { CellProcess, CellProcessEnded } from '../../../lib/notebook/cells/cell-process';
import type { CellError, CellMessage, ExecuteOutcome } from '../../../lib/notebook/session';
import { buildLibrary, projectRoot, temporaryFolder } from '../helpers';

beforeAll(buildLibrary);

const open: CellProcess[] = [];
afterEach(() => open.splice(0).forEach((one) => one.kill()));

interface Held {
  cells: CellProcess;
  messages: CellMessage[];
  native: string[];
  end: Promise<{ reason: string; lines: string[] }>;
  run(code: string): Promise<ExecuteOutcome>;
  /** Runs a cell and interrupts it once it printed `go`. */
  interrupted(code: string): Promise<CellError>;
}

async function start(env: Record<string, string> = {}): Promise<Held> {
  const messages: CellMessage[] = [];
  const native: string[] = [];
  let ended!: (end: { reason: string; lines: string[] }) => void;
  const end = new Promise<{ reason: string; lines: string[] }>((resolve) => (ended = resolve));
  const cells = new CellProcess({
    cwd: temporaryFolder(),
    env: { ...process.env, ...env },
    onNativeOutput: (_name, text) => native.push(text),
    onEnd: (reason, lines) => ended({ reason, lines }),
  });
  open.push(cells);
  await cells.ready;
  const run = (code: string): Promise<ExecuteOutcome> =>
    cells.execute(code, {}, (m) => void messages.push(m));
  return {
    cells,
    messages,
    native,
    end,
    run,
    async interrupted(code) {
      const outcome = await cells.execute(code, {}, (message) => {
        messages.push(message);
        if (message.type === 'stream' && message.text.includes('go')) cells.interrupt();
      });
      expect(outcome.status).toBe('error');
      return (outcome as Extract<ExecuteOutcome, { status: 'error' }>).error;
    },
  };
}

function results(messages: readonly CellMessage[]): unknown[] {
  return messages.flatMap((m) => (m.type === 'execute_result' ? [m.data['text/plain']] : []));
}

describe('an interrupt', () => {
  test.each([
    ['synchronous', `let n = 0;\nconsole.log('go');\nwhile (true) n++;`, 3],
    [
      'after an await',
      `await Promise.resolve();\nconsole.log('go');\nconst spin = (): void => {\n  for (;;);\n};\nspin();`,
      4,
    ],
    [
      'in a timer',
      `setTimeout(() => {\n  console.log('go');\n  for (;;);\n}, 1);\nawait new Promise(() => {});`,
      3,
    ],
    ['that starves the event loop', `console.log('go');\nwhile (true) await 0;`, 2],
  ])('ends an endless loop, %s, and names its line', async (_name, code, line) => {
    const held = await start();
    await held.run(`const kept = new Map([['a', 1]]);`);
    const error = await held.interrupted(code);
    expect(error).toMatchObject({ ename: 'Interrupted', line });
    expect(error.traceback.join('\n')).toContain(`-> ${line} |`);
    expect(await held.run(`kept.get('a')`)).toMatchObject({ status: 'ok' });
    // Asynchronous contexts are whole again, too: they route output to cells.
    await held.run(`await new Promise((r) => setTimeout(r, 1));\nconsole.log('back');`);
    expect(held.messages.at(-1)).toEqual({ type: 'stream', name: 'stdout', text: 'back\n' });
    expect(results(held.messages)).toEqual(['1']);
  });

  test('stops a loop that awaits, and what it would have done later', async () => {
    const held = await start();
    const code = `let turns = 0;\nconsole.log('go');\nwhile (true) {\n  turns++;\n  await new Promise((r) => setTimeout(r, 1));\n}`;
    expect(await held.interrupted(code)).toMatchObject({ ename: 'Interrupted' });
    // Its timers die a few seconds after the interrupt: the count stands still from some time on.
    const still = `let before = -1;\nwhile (before !== turns) {\n  before = turns;\n  await new Promise((r) => setTimeout(r, 500));\n}\ntrue`;
    expect(await held.run(still)).toMatchObject({ status: 'ok' });
    expect(results(held.messages)).toEqual(['true']);
  });

  test('lets work that looks at the signal end in order, and leaves no tensors of code that does not but the one in the making', async () => {
    const held = await start({ DETLAB_BACKEND: 'cpu' });
    const polite = `let ended = '';\nconst signal = (globalThis as any)[Symbol.for('detlab.abort')] as AbortSignal;\nconsole.log('go');\ntry {\n  for (;;) {\n    signal.throwIfAborted();\n    await new Promise((r) => setTimeout(r, 5));\n  }\n} finally {\n  ended = 'in order';\n}`;
    expect(await held.interrupted(polite)).toMatchObject({ ename: 'Interrupted' });
    await held.run(
      `import { tf, useBackend } from 'detlab';\nawait useBackend();\nconst count = tf.memory().numTensors;`,
    );
    const rude = `tf.tidy(() => {\n  console.log('go');\n  for (;;) tf.add(tf.ones([2]), 1);\n});`;
    expect(await held.interrupted(rude)).toMatchObject({ ename: 'Interrupted', line: 3 });
    // A tensor is counted before its scope knows it: code that is ended in between leaves that one.
    await held.run(
      `[ended, tf.memory().numTensors - count <= 1, tf.tidy(() => tf.sum([1, 2]).dataSync()[0])]`,
    );
    expect(results(held.messages)).toEqual(["[ 'in order', true, 3 ]"]);
  });

  test('finds its cell, however early it comes', async () => {
    const cells = new CellProcess({ cwd: temporaryFolder(), env: process.env, onEnd: () => {} });
    open.push(cells);
    // The first time before the process is up.
    for (let time = 0; time < 10; time++) {
      const endless = cells.execute('await new Promise(() => {});', {}, () => {});
      cells.interrupt();
      expect(await endless).toMatchObject({ error: { ename: 'Interrupted' } });
    }
  });

  test('does nothing between cells', async () => {
    const held = await start();
    held.cells.interrupt();
    expect(await held.run(`await new Promise((r) => setTimeout(r, 600));\n1`)).toMatchObject({
      status: 'ok',
    });
  });
});

describe('a cell', () => {
  test('that calls process.exit, reads the keyboard or throws a string fails, and the process goes on', async () => {
    const held = await start();
    expect(await held.run(`const a = 1;\nprocess.exit(3);`)).toMatchObject({
      status: 'error',
      error: { ename: 'ExitCalled', evalue: expect.stringContaining('process.exit(3) was called'), line: 2 },
    });
    const question = `import readline from 'node:readline/promises';\nawait readline.createInterface({ input: process.stdin }).question('name? ');`;
    for (let time = 0; time < 2; time++) {
      expect(await held.run(question)).toMatchObject({
        status: 'error',
        error: { ename: 'StdinNotAvailable' },
      });
    }
    expect(await held.run(`throw 'a string';`)).toMatchObject({
      error: { evalue: "a cell threw 'a string', which is not an Error" },
    });
    expect(await held.run(`a`)).toMatchObject({ status: 'ok' });
    expect(results(held.messages)).toEqual(['1']);
  });

  test('that prints without end is cut, with how much is missing and the last of it', async () => {
    const held = await start({ DETLAB_OUTPUT_LIMIT: '0.1' });
    await held.run(`for (let i = 0; i < 50_000; i++) console.log('line', i);`);
    const text = held.messages.map((m) => (m.type === 'stream' ? m.text : '')).join('');
    expect(text.startsWith('line 0\nline 1\n')).toBe(true);
    expect(text).toContain('This cell has printed 0.1 MB; the rest is left out (DETLAB_OUTPUT_LIMIT');
    expect(text).toMatch(/… 0\.4 MB more were printed and left out\. The end:\n[\s\S]*line 49999\n$/);
    expect(text.length).toBeLessThan(103_000);
    // Another cell may print as much again.
    held.messages.length = 0;
    await held.run(`console.log('short');`);
    expect(held.messages).toEqual([{ type: 'stream', name: 'stdout', text: 'short\n' }]);
  });

  test('completes while another awaits', async () => {
    const held = await start();
    const waiting = held.interrupted(
      `const wide = { alpha: 1 };\nconsole.log('ready');\nawait new Promise(() => {});`,
    );
    const { items } = await held.cells.complete('Math.ma', 7);
    expect(items.map((item) => item.text)).toContain('max');
    expect(await held.cells.isComplete('const f = (')).toMatchObject({ status: 'incomplete' });
    held.cells.interrupt();
    expect(await waiting).toMatchObject({ ename: 'Interrupted' });
  });
});

describe('the process', () => {
  test('ends with a reason when native code crashes, and pending calls fail', async () => {
    const held = await start();
    const crash = `process.stderr.write('');\nrequire('node:fs').writeSync(2, 'last words\\n');\nprocess.kill(process.pid, 'SIGSEGV');\nawait new Promise(() => {});`;
    await expect(held.run(crash)).rejects.toThrow(CellProcessEnded);
    const { reason, lines } = await held.end;
    expect(reason).toBe('it crashed (SIGSEGV), which points at native code');
    expect(lines).toEqual(['last words']);
    expect(held.native.join('')).toBe('last words\n');
    await expect(held.run('1')).rejects.toThrow(CellProcessEnded);
  });

  test('dies with its parent, also in a cell that never yields, with what it started', async () => {
    const module = path.join(projectRoot, 'dist', 'notebook', 'cells', 'cell-process.js');
    const parent = `
      const { CellProcess } = require(${JSON.stringify(module)});
      const cells = new CellProcess({ cwd: ${JSON.stringify(temporaryFolder())}, env: process.env, onEnd: () => {} });
      cells.ready.then(() => {
        const code = "import { spawn } from 'node:child_process';\\nconst child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);\\nconsole.log(process.pid, child.pid);\\nfor (;;);";
        cells.execute(code, {}, (m) => {
          if (m.type === 'stream') process.stdout.write(m.text, () => process.kill(process.pid, 'SIGKILL'));
        });
      });`;
    const printed = await new Promise<string>((resolve) => {
      execFile(process.execPath, ['-e', parent], (_error, stdout) => resolve(stdout));
    });
    const pids = printed.trim().split(' ').map(Number);
    expect(pids).toHaveLength(2);
    const alive = (pid: number): boolean => {
      try {
        process.kill(pid, 0);
        return true;
      } catch {
        return false;
      }
    };
    await expect.poll(() => pids.filter(alive), { timeout: 20_000 }).toEqual([]);
  });
});
