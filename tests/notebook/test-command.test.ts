/** A worker process that dies: its file gets one more try, and only where nothing else is wrong. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { buildLibrary, projectRoot, temporaryFolder } from './helpers';

beforeAll(buildLibrary);

const dies = (times: number): string => `
  import fs from 'node:fs';
  import { test } from 'vitest';
  test('dies', async () => {
    const tries = fs.readdirSync('tries').length;
    fs.writeFileSync('tries/' + tries, '');
    if (tries < ${times}) {
      process.kill(process.pid, 'SIGKILL');
      await new Promise(() => {});
    }
  });
`;
const passes = `import { test } from 'vitest';\ntest('passes', () => {});\n`;
const fails = `import { test } from 'vitest';\ntest('fails', () => { throw new Error('no'); });\n`;

function run(files: Record<string, string>): { code: number | null; output: string; tries: number } {
  const folder = temporaryFolder();
  fs.mkdirSync(path.join(folder, 'tries'));
  fs.symlinkSync(path.join(projectRoot, 'node_modules'), path.join(folder, 'node_modules'));
  const reporter = path.join(projectRoot, 'tests', 'reporters', 'unfinished.ts');
  fs.writeFileSync(
    path.join(folder, 'vitest.config.mts'),
    `export default { test: { include: ['*.test.ts'], pool: 'forks', reporters: ['default', ${JSON.stringify(reporter)}] } };\n`,
  );
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text);
  const command = path.join(projectRoot, 'dist', 'notebook', 'test-command.js');
  const code = `require(${JSON.stringify(command)}).runTests([], ${JSON.stringify(folder)}).then((code) => process.exit(code))`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', code], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, VITEST: undefined, VITEST_WORKER_ID: undefined, VITEST_POOL_ID: undefined },
  });
  return { code: status, output: stdout + stderr, tries: fs.readdirSync(path.join(folder, 'tries')).length };
}

test('a file that died once passes the second time, and it is said', () => {
  const { code, output, tries } = run({ 'dies.test.ts': dies(1), 'passes.test.ts': passes });
  expect(output).toContain('Never ended: dies.test.ts');
  expect(output).toContain('Run once more, in processes of their own: dies.test.ts');
  expect(tries).toBe(2);
  expect(code).toBe(0);
});

test('one that dies twice fails', () => {
  const { code, tries } = run({ 'dies.test.ts': dies(5), 'passes.test.ts': passes });
  expect(tries).toBe(2);
  expect(code).toBe(1);
});

test('beside a failure nothing is run again', () => {
  const { code, output, tries } = run({ 'dies.test.ts': dies(1), 'fails.test.ts': fails });
  expect(output).not.toContain('Run once more');
  expect(tries).toBe(1);
  expect(code).toBe(1);
});
