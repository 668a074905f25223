// Compiles lib/**/*.ts to dist/ (CommonJS, declarations, source maps), one file at a time and only what changed, so that
// editing a file of lib takes effect at the next start without a build by hand. Declarations are written without a
// type check (`isolatedDeclarations`): `npm run types` is where types are checked.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import compile from './compile.cjs';

const { compileFile, sources, stampOf, writeCompiled, writeWhole } = compile;
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const source = path.join(root, 'lib');
const target = path.join(root, 'dist');
const stampFile = path.join(target, '.stamps.json');

function readStamps() {
  try {
    return JSON.parse(fs.readFileSync(stampFile, 'utf8'));
  } catch {
    return {};
  }
}

/** Brings dist/ up to date with lib/. Returns how many files were compiled; throws with file and line on a syntax error. */
export function build() {
  const require = createRequire(import.meta.url);
  const compiler = require('typescript/package.json').version;
  const before = readStamps();
  const after = {};
  const changed = [];
  for (const file of sources(source)) {
    const name = path.relative(source, file);
    after[name] = stampOf(file, compiler);
    const out = path.join(target, name.replace(/\.ts$/, '.js'));
    if (before[name] !== after[name] || !fs.existsSync(out)) changed.push({ file, name, out });
  }
  const gone = Object.keys(before).filter((name) => !(name in after));
  if (changed.length === 0 && gone.length === 0) return 0;

  // Loading the compiler takes longer than compiling a file: only when there is something to compile.
  const ts = require('typescript');
  const problems = [];
  for (const { file, name, out } of changed) {
    const compiled = compileFile(ts, { file, name: `lib/${name}`, out });
    if (compiled.problems.length > 0) {
      problems.push(...compiled.problems);
      after[name] = before[name] ?? '';
    } else {
      writeCompiled(out, compiled);
    }
  }
  for (const name of gone) {
    const out = path.join(target, name.replace(/\.ts$/, '.js'));
    for (const file of [out, `${out}.map`, out.replace(/\.js$/, '.d.ts')]) fs.rmSync(file, { force: true });
  }
  writeWhole(stampFile, JSON.stringify(after));
  if (problems.length > 0) throw new Error(`detlab could not be compiled:\n  ${problems.join('\n  ')}`);
  return changed.length;
}
