// Compiles lib/**/*.ts to dist/ (CommonJS, declarations, source maps), one file at a time and only what changed, so that
// editing a file of lib takes effect at the next start without a build by hand. Declarations are written without a
// type check (`isolatedDeclarations`): `npm run types` is where types are checked.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const source = path.join(root, 'lib');
const target = path.join(root, 'dist');
const stampFile = path.join(target, '.stamps.json');

function* sources(dir) {
  for (const entry of fs.readdirSync(dir, { withFileTypes: true })) {
    const file = path.join(dir, entry.name);
    if (entry.isDirectory()) yield* sources(file);
    else if (entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts')) yield file;
  }
}

/** Size and modification time say whether a source changed; the compiler's version invalidates everything at once. */
function stampOf(file, compiler) {
  const stat = fs.statSync(file);
  return `${compiler} ${stat.size} ${stat.mtimeMs}`;
}

/** Two processes may build at once: a reader sees the old file or the new one, never half of one. */
function writeWhole(file, text) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const partial = `${file}.${process.pid}.tmp`;
  fs.writeFileSync(partial, text);
  fs.renameSync(partial, file);
}

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
  const compilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.CommonJS,
    esModuleInterop: true,
    isolatedModules: true,
  };
  const jsOptions = { ...compilerOptions, sourceMap: true, inlineSources: true };
  const typesOptions = { ...compilerOptions, declaration: true, isolatedDeclarations: true };
  const problems = [];
  for (const { file, name, out } of changed) {
    const text = fs.readFileSync(file, 'utf8');
    const options = { fileName: file, reportDiagnostics: true };
    const js = ts.transpileModule(text, { ...options, compilerOptions: jsOptions });
    const types = ts.transpileDeclaration(text, { ...options, compilerOptions: typesOptions });
    const errors = [...(js.diagnostics ?? []), ...(types.diagnostics ?? [])];
    for (const d of errors) {
      const at = d.file ? d.file.getLineAndCharacterOfPosition(d.start) : { line: 0, character: 0 };
      const message = ts.flattenDiagnosticMessageText(d.messageText, '\n');
      problems.push(`lib/${name}:${at.line + 1}:${at.character + 1} ${message}`);
    }
    if (errors.length > 0) {
      after[name] = before[name] ?? '';
      continue;
    }
    const map = JSON.parse(js.sourceMapText);
    map.sources = [path.relative(path.dirname(out), file)];
    writeWhole(`${out}.map`, JSON.stringify(map));
    writeWhole(out.replace(/\.js$/, '.d.ts'), types.outputText);
    writeWhole(out, js.outputText);
  }
  for (const name of gone) {
    const out = path.join(target, name.replace(/\.ts$/, '.js'));
    for (const file of [out, `${out}.map`, out.replace(/\.js$/, '.d.ts')]) fs.rmSync(file, { force: true });
  }
  writeWhole(stampFile, JSON.stringify(after));
  if (problems.length > 0) throw new Error(`detlab could not be compiled:\n  ${problems.join('\n  ')}`);
  return changed.length;
}
