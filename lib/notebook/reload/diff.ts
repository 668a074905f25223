/** What changed in a module, unit by unit, and which of the changes can't be made while it lives. */
import { classProblem, compareClasses } from './classes';
import type { Ts } from './compile';
import { type ModuleUnits, ownExports, type Unit } from './units';

/** A reason against swapping, with the unit that it is about. */
export interface Objection {
  reason: string;
  /** Where in the new text; without it the reason is about what was removed. */
  position?: number;
}

/** The difference between the text that runs and a new one. */
export interface ModuleDiff {
  /** Units of the new text that are new or changed. */
  changed: Unit[];
  /** Units of the old text whose names are gone. */
  gone: Unit[];
  /** Units of the old text that changed, by the unit that replaces them. */
  before: Map<Unit, Unit>;
  addedExports: string[];
  removedExports: string[];
  /** What changed, in the words of a report: `nms`, `Sgd.step`. */
  names: string[];
  objections: Objection[];
}

/** The name by which people know a unit. */
export function unitName(unit: Unit): string {
  return unit.names.map((name) => name.replace(/^exports\./, '')).join(', ');
}

/** Compares two texts of a module. */
export function diffModule(ts: Ts, old: ModuleUnits, now: ModuleUnits): ModuleDiff {
  const before = new Map<Unit, Unit>();
  const changed: Unit[] = [];
  const objections: Objection[] = [];
  const names = new Set<string>();
  const object = (unit: Unit, reason: string): void => {
    objections.push({ reason, position: unit.node.getStart(now.tree) });
  };
  const oldTokens = new Set(old.units.map((unit) => unit.tokens()));
  const newTokens = new Set(now.units.map((unit) => unit.tokens()));

  for (const unit of now.units) {
    if (oldTokens.has(unit.tokens())) continue;
    const earlier = unit.names.map((name) => old.byName.get(name)).find((found) => found !== undefined);
    if (unit.kind === 'frame') continue;
    changed.push(unit);
    if (earlier) before.set(unit, earlier);
    const what = unitName(unit);
    if (unit.kind !== 'import' && !isLink(ts, unit)) names.add(what);
    if (unit.kind === 'effect') object(unit, 'this statement runs when the file loads');
    else if (!earlier) continue;
    else if (unit.kind === 'reexport' || earlier.kind === 'reexport')
      object(unit, `${what} is passed on from elsewhere`);
    else if (unit.kind === 'state' || earlier.kind === 'state') {
      object(unit, `${what} is state: what it holds would be lost or no longer fit`);
    } else if (earlier.kind === 'class' || unit.kind === 'class') {
      if (earlier.kind !== unit.kind) object(unit, `${what} was a ${earlier.kind} and is a ${unit.kind} now`);
      else {
        const change = compareClasses(ts, earlier, unit);
        if ('reason' in change) object(unit, `class ${what}: ${change.reason}`);
        else {
          names.delete(what);
          for (const method of change.methods) names.add(`${what}.${method.replace(/^static /, '')}`);
        }
      }
    }
  }
  const gone = old.units.filter((unit) => {
    if (unit.kind === 'frame' || newTokens.has(unit.tokens())) return false;
    return unit.names.length === 0 || unit.names.some((name) => !now.byName.has(name));
  });
  for (const unit of gone) {
    if (unit.kind === 'effect')
      objections.push({ reason: 'a statement that ran when the file loaded was removed' });
    if (unit.kind === 'star') objections.push({ reason: `\`export * from '${unit.from}'\` was removed` });
    if (unit.kind === 'reexport') objections.push({ reason: `${unitName(unit)} is no longer passed on` });
  }
  const [exportsBefore, exportsNow] = [ownExports(old), ownExports(now)];
  const addedExports = exportsNow.filter((name) => !exportsBefore.includes(name));
  const removedExports = exportsBefore.filter((name) => !exportsNow.includes(name));
  for (const name of removedExports) names.add(`${name} removed`);
  return { changed, gone, before, addedExports, removedExports, names: [...names], objections };
}

/** Why a unit that did not change, but depends on what did, can't be made again; `undefined` where it can. */
export function remakeProblem(
  ts: Ts,
  unit: Unit,
  written: ReadonlySet<string>,
  isFree: (unit: Unit) => boolean,
): string | undefined {
  const what = unitName(unit);
  if (unit.kind === 'effect') return 'this statement runs when the file loads, and has run';
  if (unit.kind === 'state') return `${what} is state`;
  if (unit.kind === 'class') {
    const problem = classProblem(ts, unit);
    return problem === undefined ? undefined : `class ${what}: ${problem}`;
  }
  const holder = unit.names.find((name) => written.has(name));
  if (holder !== undefined) return `${what} carries fields that were set while it lived`;
  if (unit.kind !== 'constant') return undefined;
  if (unit.initializer && ts.isClassExpression(unit.initializer)) return `${what} is a class in a variable`;
  return isFree(unit) ? undefined : `computing ${what} again might do more than compute it`;
}

/** `exports.nms = nms`: says nothing of its own. */
export function isLink(ts: Ts, unit: Unit): boolean {
  return unit.kind === 'constant' && unit.initializer !== undefined && ts.isIdentifier(unit.initializer);
}
