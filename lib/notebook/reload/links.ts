/** Whether the exports and imports of files still fit each other after a change. */
import fs from 'node:fs';
import type { Ts } from './compile';
import type { ModuleDiff } from './diff';
import { Library, overlay, resolveLibrary } from './library';
import { type ModuleUnits, readUnits } from './units';

/**
 * Told of what does not fit: the compiled file that it is about, the reason, the place in that file, and whether the new code
 * itself is wrong.
 */
export type Refuse = (file: string, reason: string, position?: number, mistake?: boolean) => void;

/** How messages name a compiled file and a place in it. */
export type Display = (file: string, position?: number) => string;

/** Checks a group of changes: by compiled file, what changed in it. */
export function checkLinks(
  ts: Ts,
  before: Library,
  after: Library,
  diffs: ReadonlyMap<string, ModuleDiff>,
  display: Display,
  refuse: Refuse,
): void {
  const future = withNewcomers(ts, after, [...diffs.keys()]);
  for (const [file, { removedExports, addedExports }] of diffs) {
    checkImports(file, future, after, display, refuse);
    for (const name of removedExports) {
      const use = findUse(after, file, name);
      if (use) refuse(file, `${name} is gone, and ${display(use.file, use.position)} uses it`);
    }
    for (const name of addedExports) {
      for (const user of before.dependents([file])) {
        if (!after.stars(user).includes(file) || !before.exportNames(user).has(name)) continue;
        refuse(file, `it exports ${name}, which ${display(user)} has from another file`);
      }
    }
  }
}

/** The modules with those that the changed ones will be the first to load. */
export function withNewcomers(ts: Ts, after: Library, changed: readonly string[]): Library {
  const newcomers = new Map<string, ModuleUnits>();
  const modules = overlay(after.modules, newcomers);
  const queue = [...changed];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    for (const { from } of modules.get(file)!.units) {
      const target = from === undefined ? undefined : resolveLibrary(file, from);
      if (target === undefined || modules.has(target) || !fs.existsSync(target)) continue;
      newcomers.set(target, readUnits(ts, target, fs.readFileSync(target, 'utf8')));
      queue.push(target);
    }
  }
  return new Library(modules);
}

function checkImports(
  file: string,
  future: Library,
  after: Library,
  display: Display,
  refuse: Refuse,
  seen: Set<string> = new Set(),
): void {
  seen.add(file);
  for (const { references, from, node } of future.modules.get(file)!.units) {
    const target = from === undefined ? undefined : resolveLibrary(file, from);
    if (target !== undefined && !future.modules.has(target) && !fs.existsSync(target)) {
      refuse(file, `${from} is not there`, node.getStart(), true);
    }
    for (const { name, from: source, position } of references) {
      const used = source === undefined ? undefined : resolveLibrary(file, source);
      if (used === undefined || name === '*' || !future.modules.has(used)) continue;
      if (!future.exportNames(used).has(name)) {
        refuse(file, `${display(used)}, as it runs here, has no ${name}`, position);
      }
    }
    const isNew = target !== undefined && future.modules.has(target) && !after.modules.has(target);
    if (isNew && !seen.has(target)) checkImports(target, future, after, display, refuse, seen);
  }
}

function findUse(
  library: Library,
  file: string,
  name: string,
): { file: string; position: number } | undefined {
  for (const user of library.dependents([file])) {
    for (const unit of library.modules.get(user)?.units ?? []) {
      const passes = unit.kind === 'reexport' && unit.passes === name;
      if (passes && resolveLibrary(user, unit.from ?? '') === file) {
        return { file: user, position: unit.node.getStart() };
      }
      for (const { name: used, from, position } of unit.references) {
        const fits = from !== undefined && (used === name || used === '*');
        if (fits && resolveLibrary(user, from) === file) return { file: user, position };
      }
    }
  }
  return undefined;
}
