/** What has to be evaluated for a change, module by module. */
import type { Ts } from './compile';
import { isLink, type ModuleDiff, unitName } from './diff';
import type { Library } from './library';
import type { Change } from './plan';
import type { LoadedModule } from './loads';
import type { Mark } from './spread';
import type { ModuleUnits, Unit } from './units';

/** What is to be done with one module. */
export interface Step {
  readonly loaded: LoadedModule;
  /** The module's text afterwards; the same as before for one that only depends on what changed. */
  readonly units: ModuleUnits;
  readonly change?: Change;
  /** Units to evaluate anew; the rest stays as it is. */
  readonly remake: ReadonlySet<Unit>;
  /** Classes that keep their identity and get the methods of the new text. */
  readonly patch: ReadonlySet<Unit>;
  /** New `export * from` and `export { x } from`. */
  readonly passOn: readonly Unit[];
  readonly removedExports: readonly string[];
  /** What is replaced, in the words of a report. */
  readonly names: readonly string[];
}

/** A change with what differs in it. */
export interface Changed {
  change: Change;
  diff: ModuleDiff;
}

/**
 * The steps of a group's plan, in the order in which modules need each other.
 * @param changed by compiled file.
 * @param added units of the changed files that had no forerunner.
 */
export function planSteps(
  ts: Ts,
  before: Library,
  after: Library,
  changed: ReadonlyMap<string, Changed>,
  marks: Iterable<Mark>,
  added: ReadonlySet<Unit>,
  loadedOf: (file: string) => LoadedModule,
): Step[] {
  const marksOf = new Map<string, Mark[]>([...changed.keys()].map((file) => [file, []]));
  for (const mark of marks) {
    if (!mark.remade) continue;
    const { file } = mark.place;
    const list = marksOf.get(file);
    if (list) list.push(mark);
    else marksOf.set(file, [mark]);
  }
  const steps = [...marksOf].map(([file, own]): Step => {
    const units = after.modules.get(file)!;
    const known = before.modules.get(file)!.byName;
    const { change, diff } = changed.get(file) ?? {};
    const all = own.map(({ place }) => place.unit);
    const passOn = all.filter(({ kind }) => kind === 'star' || kind === 'reexport');
    const patch = all.filter((unit) => unit.kind === 'class' && !added.has(unit));
    const apart = new Set([...passOn, ...patch]);
    // Functions of the compiler's that the module's text did not need before.
    const helpers = units.units.filter((u) => u.kind === 'frame' && u.names.some((name) => !known.has(name)));
    const dependents = own.filter(
      ({ path, place }) => path.length > 0 && place.unit.kind === 'constant' && !isLink(ts, place.unit),
    );
    return {
      loaded: loadedOf(file),
      units,
      change,
      remake: new Set([...all.filter((unit) => !apart.has(unit)), ...helpers]),
      patch: new Set(patch),
      passOn,
      removedExports: diff?.removedExports ?? [],
      names: [...(diff?.names ?? []), ...dependents.map(({ place }) => unitName(place.unit))],
    };
  });
  return inOrder(after, steps);
}

/** What a module reads as it loads must be there before. */
function inOrder(library: Library, steps: Step[]): Step[] {
  const ordered = new Set<Step>();
  const seen = new Set<Step>();
  const add = (step: Step): void => {
    if (seen.has(step)) return;
    seen.add(step);
    const uses = library.uses(step.loaded.file);
    for (const other of steps) if (uses.has(other.loaded.file)) add(other);
    ordered.add(step);
  };
  steps.sort((a, b) => a.loaded.order - b.loaded.order).forEach(add);
  return [...ordered];
}
