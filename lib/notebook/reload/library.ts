/** The library's modules and how they refer to each other. */
import fs from 'node:fs';
import path from 'node:path';
import type { Reference } from './names';
import { type ModuleUnits, ownExports, type Unit } from './units';

/** A unit and the compiled file that it stands in. */
export interface Place {
  readonly file: string;
  readonly unit: Unit;
}

/** The compiled file that a module's `require` of a relative path loads; `undefined` for packages. */
export function resolveLibrary(file: string, from: string): string | undefined {
  if (!from.startsWith('.')) return undefined;
  const target = path.resolve(path.dirname(file), from);
  if (path.extname(target) === '.js') return target;
  const folder = path.join(target, 'index.js');
  return !fs.existsSync(`${target}.js`) && fs.existsSync(folder) ? folder : `${target}.js`;
}

/** Modules by compiled file. Each is read when it is asked for: a change concerns few of them. */
export interface Modules {
  has(file: string): boolean;
  get(file: string): ModuleUnits | undefined;
  /** The text of a module that is there. */
  text(file: string): string;
  files(): Iterable<string>;
}

/** Modules of which some are replaced, or that are joined by others. */
export function overlay(base: Modules, own: ReadonlyMap<string, ModuleUnits>): Modules {
  return {
    has: (file) => own.has(file) || base.has(file),
    get: (file) => own.get(file) ?? base.get(file),
    text: (file) => own.get(file)?.text ?? base.text(file),
    files: () => new Set([...base.files(), ...own.keys()]),
  };
}

/** Modules and the ways between them. */
export class Library {
  private users: Map<string, string[]> | undefined;

  constructor(readonly modules: Modules) {}

  /** The modules that use any of these files, directly or through others, and the files themselves. */
  dependents(files: Iterable<string>): Set<string> {
    this.users ??= this.findUsers();
    const found = new Set(files);
    for (const file of found) for (const user of this.users.get(file) ?? []) found.add(user);
    return found;
  }

  /** Who requires a file, by the file. Found without reading the modules. */
  private findUsers(): Map<string, string[]> {
    const users = new Map<string, string[]>();
    for (const file of this.modules.files()) {
      for (const [, from] of this.modules.text(file).matchAll(/\brequire\("(\.[^"]*)"\)/g)) {
        const target = resolveLibrary(file, from);
        if (target !== undefined) users.set(target, [...(users.get(target) ?? []), file]);
      }
    }
    return users;
  }

  /** What a module exports under a name, found through re-exports. */
  exported(file: string, name: string, seen: Set<string> = new Set()): Place | undefined {
    const module = this.modules.get(file);
    if (!module || seen.has(file)) return undefined;
    seen.add(file);
    const unit = module.byName.get(`exports.${name}`);
    if (unit && unit.kind !== 'reexport') return { file, unit };
    if (unit) {
      const target = resolveLibrary(file, unit.from ?? '');
      return target === undefined ? undefined : this.exported(target, unit.passes ?? name, seen);
    }
    for (const target of this.stars(file)) {
      const found = this.exported(target, name, seen);
      if (found) return found;
    }
    return undefined;
  }

  /** The names that a module exports, those of its `export *` included. */
  exportNames(file: string, seen: Set<string> = new Set()): Set<string> {
    const module = this.modules.get(file);
    if (!module || seen.has(file)) return new Set();
    seen.add(file);
    const passed = this.stars(file).flatMap((target) => [...this.exportNames(target, seen)]);
    return new Set([...ownExports(module), ...passed]);
  }

  /** What the reference of a unit in `file` means; several units where a whole module is used. */
  targets(file: string, { name, from }: Reference | { name: string; from?: string }): Place[] {
    if (from === undefined) {
      const unit = this.modules.get(file)?.byName.get(name);
      return unit ? [{ file, unit }] : [];
    }
    const target = resolveLibrary(file, from);
    if (target === undefined) return [];
    const names = name === '*' ? this.exportNames(target) : [name];
    return [...names].flatMap((one) => this.exported(target, one) ?? []);
  }

  /** The modules that a module passes on with `export *`. */
  stars(file: string): string[] {
    const units = this.modules.get(file)?.units ?? [];
    return units.flatMap((u) => (u.kind === 'star' ? (resolveLibrary(file, u.from ?? '') ?? []) : []));
  }

  /** The modules whose exports a module uses, those that it only passes on left out. */
  uses(file: string): Set<string> {
    const units = this.modules.get(file)?.units ?? [];
    const found = new Set<string>();
    for (const { references, kind, from } of units) {
      const specifiers = references.map((reference) => reference.from);
      if (kind === 'import') specifiers.push(from);
      for (const specifier of specifiers) {
        const target = specifier === undefined ? undefined : resolveLibrary(file, specifier);
        if (target !== undefined) found.add(target);
      }
    }
    return found;
  }
}
