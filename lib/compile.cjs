// Compiles one file of lib as it runs: CommonJS, declarations (`isolatedDeclarations`, so without a type check) and a
// source map that holds the source. build.mjs calls it at every start; the kernel calls it when a file of lib changes while
// it runs, and needs it synchronous, which is why this file is not an ES module.
const fs = require('node:fs');
const path = require('node:path');

/** The files of lib that are compiled, in all its folders. */
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

/**
 * @param ts the compiler.
 * @param file the source; `name` is how messages call it, `out` the JavaScript that it becomes.
 * @returns `{ js, map, types, problems }`, texts; with problems (file, line and message each) the rest is not to be used.
 */
function compileFile(ts, { file, name, out }) {
  const text = fs.readFileSync(file, 'utf8');
  const compilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.CommonJS,
    esModuleInterop: true,
    isolatedModules: true,
  };
  const jsOptions = { ...compilerOptions, sourceMap: true, inlineSources: true };
  const typesOptions = { ...compilerOptions, declaration: true, isolatedDeclarations: true };
  const options = { fileName: file, reportDiagnostics: true };
  const js = ts.transpileModule(text, { ...options, compilerOptions: jsOptions });
  const types = ts.transpileDeclaration(text, { ...options, compilerOptions: typesOptions });
  const errors = [...(js.diagnostics ?? []), ...(types.diagnostics ?? [])];
  const problems = errors.map((d) => {
    const at = d.file ? d.file.getLineAndCharacterOfPosition(d.start) : { line: 0, character: 0 };
    const message = ts.flattenDiagnosticMessageText(d.messageText, '\n');
    return `${name}:${at.line + 1}:${at.character + 1} ${message}`;
  });
  const map = JSON.parse(js.sourceMapText);
  map.sources = [path.relative(path.dirname(out), file)];
  return { js: js.outputText, map: JSON.stringify(map), types: types.outputText, problems };
}

/** The JavaScript comes last: whoever sees it new finds the rest new, too. */
function writeCompiled(out, { js, map, types }) {
  writeWhole(`${out}.map`, map);
  writeWhole(out.replace(/\.js$/, '.d.ts'), types);
  writeWhole(out, js);
}

module.exports = { compileFile, sources, stampOf, writeCompiled, writeWhole };
