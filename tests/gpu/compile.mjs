// Compiles this folder's programs as lib is compiled, file by file: node tests/gpu/compile.mjs FOLDER
// writes FOLDER/tests/gpu/*.js, which look for the compiled library in FOLDER/lib (a link to dist, or a copy of it).
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);

/** Compiles this folder's TypeScript into `folder`/tests/gpu. */
export function compilePrograms(folder) {
  const ts = require('typescript');
  const { compileFile } = require('../../lib/compile.cjs');
  const target = path.join(folder, 'tests', 'gpu');
  fs.mkdirSync(target, { recursive: true });
  for (const name of fs.readdirSync(here).filter((file) => file.endsWith('.ts'))) {
    const out = path.join(target, name.replace(/\.ts$/, '.js'));
    const { js, problems } = compileFile(ts, { file: path.join(here, name), name: `tests/gpu/${name}`, out });
    if (problems.length > 0) throw new Error(problems.join('\n'));
    fs.writeFileSync(out, js.replace(/^\/\/# sourceMappingURL=.*$/m, ''));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) compilePrograms(path.resolve(process.argv[2]));
