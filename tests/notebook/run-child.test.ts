import { expect, test } from 'vitest';
import { type ChildOptions, runChild } from '../../lib/notebook/run-child';

const cwd = __dirname;
const run = (code: string, options: Partial<ChildOptions> = {}): Promise<number> =>
  runChild(process.execPath, ['-e', code], { cwd, ...options });
/** What this process would do on the signal, as far as it was added since. */
const added = (before: readonly unknown[]): NodeJS.SignalsListener[] =>
  process.listeners('SIGHUP').filter((listener) => !before.includes(listener));

test('the end of the program is told, by code or by signal', async () => {
  expect(await run('process.exit(3)')).toBe(3);
  expect(await run('process.kill(process.pid, "SIGKILL")')).toBe(128 + 9);
  expect(await run('process.exit(process.env.ANSWER)', { env: { ANSWER: '42' } })).toBe(42);
});

test('a signal is passed on, or does what is told', async () => {
  const before = process.listeners('SIGHUP');
  const passed = run('setInterval(() => undefined, 1000)');
  const [pass] = added(before);
  pass('SIGHUP');
  expect(await passed).toBe(128 + 1);
  const told = run('setInterval(() => undefined, 1000)', {
    onSignal: (child, signal) => void child.kill(signal === 'SIGHUP' ? 'SIGKILL' : signal),
  });
  const [tell] = added(before);
  tell('SIGHUP');
  expect(await told).toBe(128 + 9);
  expect(added(before)).toEqual([]);
});

test('a program that is not there is an error, after which signals are as before', async () => {
  const before = process.listeners('SIGHUP');
  await expect(runChild('/nowhere/program', [], { cwd })).rejects.toThrow('ENOENT');
  expect(added(before)).toEqual([]);
});
