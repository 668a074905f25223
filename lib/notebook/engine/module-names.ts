/** Completes what stands between the quotes of an `import`: packages, Node's own modules, files beside the notebook. */
import fs from 'node:fs';
import { builtinModules } from 'node:module';
import path from 'node:path';
import type * as TypeScript from '@tslab/typescript-for-tslab';
import { projectRoot } from '../../tensor/packages';

/** A module that can be imported. */
export interface ModuleName {
  text: string;
  type: 'module' | 'folder' | 'file';
}

/** Names that may take the place of the typed text from `from` on. */
export interface ModuleNames {
  names: ModuleName[];
  from: number;
}

/** Whether a string names a module: in `import`, `export … from`, `import()`, `require()` or a type's `import()`. */
export function isModuleName(ts: typeof TypeScript, literal: TypeScript.StringLiteralLike): boolean {
  const { parent } = literal;
  if (ts.isImportDeclaration(parent) || ts.isExportDeclaration(parent)) {
    return parent.moduleSpecifier === literal;
  }
  if (ts.isExternalModuleReference(parent)) return true;
  if (ts.isLiteralTypeNode(parent)) return ts.isImportTypeNode(parent.parent);
  if (!ts.isCallExpression(parent) || parent.arguments[0] !== literal) return false;
  const called = parent.expression;
  return (
    called.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(called) && called.text === 'require')
  );
}

/** @param typed what is already between the quotes, up to the cursor. @param cwd the notebook's folder. */
export function moduleNames(typed: string, cwd: string): ModuleNames {
  if (/^\.\.?\//.test(typed)) return filesAt(typed, cwd, true);
  const folders: ModuleName[] = ['./', '../'].map((text) => ({ text, type: 'folder' }));
  const packages = [...new Set(['detlab', ...dependencies(cwd)])];
  const names = [...packages, ...nodeModules(typed)].map((text): ModuleName => ({ text, type: 'module' }));
  return { names: [...names, ...folders], from: 0 };
}

/**
 * Files and folders at a path that is typed up to its last part.
 * @param forImport only what `import` takes, without the endings that it adds by itself.
 */
export function filesAt(typed: string, cwd: string, forImport: boolean): ModuleNames {
  const from = typed.lastIndexOf('/') + 1;
  const hidden = typed.startsWith('.', from);
  const names = new Map<string, ModuleName>();
  for (const entry of entriesOf(path.resolve(cwd, typed.slice(0, from)))) {
    const { name } = entry;
    if ((name.startsWith('.') && !hidden) || name === 'node_modules') continue;
    if (isFolder(entry)) names.set(`${name}/`, { text: `${name}/`, type: 'folder' });
    else if (!forImport) names.set(name, { text: name, type: 'file' });
    else if (importable.test(name)) {
      const text = name.replace(impliedEnding, '');
      names.set(text, { text, type: 'module' });
    }
  }
  return { names: [...names.values()].sort(foldersLast), from };
}

const importable: RegExp = /\.([cm]?[jt]s|[jt]sx|json)$/;
const impliedEnding: RegExp = /(\.d)?\.[jt]sx?$/;

function foldersLast(a: ModuleName, b: ModuleName): number {
  return Number(a.type === 'folder') - Number(b.type === 'folder') || (a.text < b.text ? -1 : 1);
}

function entriesOf(folder: string): fs.Dirent[] {
  try {
    return fs.readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

function isFolder(entry: fs.Dirent): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  const file = path.join(entry.parentPath, entry.name);
  return fs.statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** The packages that the folder's own package.json names, those of the folders above it, and the project's. */
function dependencies(cwd: string): string[] {
  const found: string[] = [];
  for (let folder = path.resolve(cwd); ; folder = path.dirname(folder)) {
    if (folder !== projectRoot) found.push(...dependenciesIn(folder, ['dependencies', 'devDependencies']));
    if (path.dirname(folder) === folder) break;
  }
  return [...found, ...dependenciesIn(projectRoot, ['dependencies'])].filter((n) => !n.startsWith('@types/'));
}

function dependenciesIn(folder: string, fields: readonly ('dependencies' | 'devDependencies')[]): string[] {
  try {
    const read = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')) as Partial<
      Record<string, object>
    >;
    return fields.flatMap((field) => Object.keys(read[field] ?? {}));
  } catch {
    return [];
  }
}

/** Without anything typed, each of Node's modules once; `node:` can be left out. */
function nodeModules(typed: string): string[] {
  const names = builtinModules.filter((name) => !name.startsWith('_') && !name.startsWith('node:'));
  const prefixed = names.map((name) => `node:${name}`);
  return typed === '' || 'node:'.startsWith(typed) || typed.startsWith('node:')
    ? prefixed
    : [...names, ...prefixed];
}
