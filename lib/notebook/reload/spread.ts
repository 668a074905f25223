/** How a change spreads: which units of which modules hold what is replaced, and which behave differently after it. */
import type { Library, Place } from './library';
import type { Reference } from './names';
import { unitName } from './diff';
import type { Unit } from './units';

/** What a change means for a unit. */
export interface Mark {
  readonly place: Place;
  /** Its value is made again: it changed, or it holds the old value of something that did. */
  remade: boolean;
  /** Its name stands for another value afterwards. Classes keep theirs. */
  rebound: boolean;
  /** What it uses that changed, from near to far; empty for what changed itself. */
  readonly path: readonly Place[];
  /** Set for a class that can't follow: the use that its methods alone can't make good. */
  stuck?: Reference;
}

type Users = Map<Unit, { place: Place; reference: Reference }[]>;

/**
 * Marks everything that a change reaches.
 *
 * A name of the same module is a variable of the old scope to the old code, so whoever uses a name that is rebound is made
 * again. Names of other modules are read from their exports at each use, so only what read them when its module loaded is.
 * A constant that was computed by calling something is made again when anything below the call behaves differently.
 */
export function spread(
  library: Library,
  changed: readonly Place[],
  isNew: (unit: Unit) => boolean,
): Map<Unit, Mark> {
  const users = usersOf(library, new Set(changed.map(({ file }) => file)));
  const marks = new Map<Unit, Mark>();
  const queue: Mark[] = [];
  const rebinds = (unit: Unit): boolean => unit.kind !== 'class' || isNew(unit);

  for (const place of changed) {
    const mark: Mark = { place, remade: true, rebound: rebinds(place.unit), path: [] };
    marks.set(place.unit, mark);
    queue.push(mark);
  }
  for (let next = queue.pop(); next; next = queue.pop()) {
    const cause = next;
    for (const { place, reference } of users.get(cause.place.unit) ?? []) {
      const { unit } = place;
      const own = reference.from === undefined && !reference.name.startsWith('exports.');
      const holds = cause.rebound && (own || reference.immediate);
      const computed =
        unit.calls && unit.kind !== 'function' && (unit.kind !== 'class' || reference.immediate);
      const remade = holds || computed;
      const early = reference.immediate || reference.construction;
      const stuck = unit.kind === 'class' && !isNew(unit) && (computed || (holds && early));
      let mark = marks.get(unit);
      const known = mark && (mark.remade || !remade) && (mark.stuck !== undefined || !stuck);
      if (known) continue;
      if (!mark) {
        mark = { place, remade: false, rebound: false, path: [cause.place, ...cause.path] };
        marks.set(unit, mark);
      }
      mark.remade ||= remade;
      mark.rebound ||= remade && rebinds(unit);
      if (stuck) mark.stuck ??= reference;
      queue.push(mark);
    }
  }
  return marks;
}

/** Why a mark was set, as the end of a message; nothing where the unit itself changed. */
export function because(mark: Mark): string {
  const { path } = mark;
  if (path.length === 0) return '';
  const origin = path[path.length - 1];
  return `: it depends on ${unitName(origin.unit)}, which changed`;
}

function usersOf(library: Library, files: ReadonlySet<string>): Users {
  const users: Users = new Map();
  for (const file of library.dependents(files)) {
    for (const unit of library.modules.get(file)?.units ?? []) {
      for (const reference of unit.references) {
        for (const target of library.targets(file, reference)) {
          if (target.unit === unit) continue;
          let list = users.get(target.unit);
          if (!list) users.set(target.unit, (list = []));
          list.push({ place: { file, unit }, reference });
        }
      }
    }
  }
  return users;
}
