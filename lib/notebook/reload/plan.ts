/** Decides whether changed files can be swapped while the kernel runs, and what has to be evaluated for it. */
import { type Compiled, type Ts } from './compile';
import { diffModule, remakeProblem, unitName } from './diff';
import { Effects } from './effects';
import { Library, type Modules, overlay } from './library';
import { checkLinks, type Refuse, withNewcomers } from './links';
import { isLive, isPlain } from './live';
import { type LoadRecord, type LoadedModule, placeInSource, sourceName } from './loads';
import { because, type Mark, spread } from './spread';
import { type Changed, planSteps, type Step } from './steps';
import { type ModuleUnits, type Unit } from './units';

/** A loaded file of lib whose source differs from what runs. */
export interface Change {
  readonly loaded: LoadedModule;
  readonly compiled: Compiled;
  readonly units: ModuleUnits;
}

/** Why files can't be swapped. */
export interface Refusal {
  /** Where the reason lies, as people know it: `lib/boxes/nms.ts`. */
  readonly file: string;
  readonly line?: number;
  readonly reason: string;
  /** The new code itself is wrong: a restart would run into it, too. */
  readonly mistake: boolean;
}

/** Either all files of a group are swapped or none. */
export type Plan = { steps: Step[] } | { refused: Refusal[] };

/**
 * Changes that belong together: one file uses another, if only by way of a file that it is the first to load. What was edited
 * together must not be torn apart.
 */
export function groupChanges(ts: Ts, running: Modules, changes: readonly Change[]): Change[][] {
  const before = new Library(running);
  const changed = new Map(changes.map((c) => [c.loaded.file, c.units]));
  const after = withNewcomers(ts, new Library(overlay(running, changed)), [...changed.keys()]);
  const reach = (file: string, found: Set<string> = new Set()): Set<string> => {
    for (const used of [...before.uses(file), ...after.uses(file)]) {
      if (found.has(used)) continue;
      found.add(used);
      if (!running.has(used)) reach(used, found);
    }
    return found;
  };
  const reached = new Map(changes.map(({ loaded: { file } }) => [file, reach(file)]));
  const groups: Change[][] = [];
  for (const change of changes) {
    const { file } = change.loaded;
    const uses = (from: string, to: string): boolean => reached.get(from)!.has(to);
    const related = groups.filter((group) =>
      group.some(({ loaded }) => uses(file, loaded.file) || uses(loaded.file, file)),
    );
    for (const group of related) groups.splice(groups.indexOf(group), 1);
    groups.push([...related.flat(), change]);
  }
  return groups;
}

/** Plans the swap of a group. Nothing is changed. */
export function planGroup(ts: Ts, record: LoadRecord, running: Modules, group: readonly Change[]): Plan {
  return new Planner(ts, record, running, group).plan();
}

// Names that Node gives to every module.
const moduleNames = new Set(['require', '__filename', '__dirname', 'exports']);

class Planner {
  private readonly before: Library;
  private readonly after: Library;
  /** By compiled file. */
  private readonly changed: Map<string, Changed> = new Map();
  private readonly refused: Refusal[] = [];
  private readonly publicFiles: Set<string>;
  private readonly effects: Effects;

  constructor(
    private readonly ts: Ts,
    private readonly record: LoadRecord,
    running: Modules,
    group: readonly Change[],
  ) {
    this.before = new Library(running);
    this.after = new Library(overlay(running, new Map(group.map((c) => [c.loaded.file, c.units]))));
    for (const change of group) {
      const { file } = change.loaded;
      this.changed.set(file, { change, diff: diffModule(ts, running.get(file)!, change.units) });
    }
    this.effects = new Effects(ts, this.after);
    this.publicFiles = new Set(this.after.stars(`${record.dist}index.js`));
  }

  plan(): Plan {
    for (const changed of this.changed.values()) this.checkFile(changed);
    const diffs = new Map([...this.changed].map(([file, { diff }]) => [file, diff]));
    const display = (file: string, position?: number): string => this.display(file, position);
    const refuse: Refuse = (...reason) => this.refuse(...reason);
    checkLinks(this.ts, this.before, this.after, diffs, display, refuse);
    if (this.refused.length > 0) return { refused: this.refused };
    const places = [...this.changed].flatMap(([file, { diff }]) =>
      diff.changed.map((unit) => ({ file, unit })),
    );
    const forerunners = new Set([...diffs.values()].flatMap((diff) => [...diff.before.keys()]));
    const added = new Set(places.map(({ unit }) => unit).filter((unit) => !forerunners.has(unit)));
    const marks = spread(this.after, places, (unit) => added.has(unit));
    for (const mark of marks.values()) this.checkMark(mark);
    this.checkState(marks);
    if (this.refused.length > 0) return { refused: this.refused };
    const loadedOf = (file: string): LoadedModule => this.loadedOf(file);
    const steps = planSteps(this.ts, this.before, this.after, this.changed, marks.values(), added, loadedOf);
    return { steps };
  }

  private checkFile({ change, diff }: Changed): void {
    const { loaded, units } = change;
    const { file } = loaded;
    if (!this.checkLoaded(loaded)) return;
    for (const { reason, position } of diff.objections) this.refuse(file, reason, position);
    for (const { free, references } of units.units) {
      for (const { name, position } of free) {
        if (moduleNames.has(name) || name in globalThis) continue;
        this.refuse(file, `${name} is not defined`, position, true);
      }
      const whole = references.find(({ name }) => name === 'exports.*');
      if (whole) this.refuse(file, 'it hands out all its exports at once', whole.position);
    }
  }

  private checkLoaded(loaded: LoadedModule): boolean {
    if (loaded.name.startsWith('notebook/') && !this.publicFiles.has(loaded.file)) {
      this.refuse(loaded.file, 'it is part of the running kernel');
    } else if (!loaded.scope) {
      this.refuse(loaded.file, 'the kernel loaded it for itself before any cell ran');
    } else return true;
    return false;
  }

  private checkMark(mark: Mark): void {
    const { place, remade, path, stuck } = mark;
    const { file, unit } = place;
    const position = unit.node.getStart();
    if (stuck) {
      const where = stuck.construction ? 'its constructor or a field uses' : 'it is built on';
      this.refuse(file, `class ${unitName(unit)}: ${where} ${stuck.name}, which is replaced`, stuck.position);
      return;
    }
    if (!remade || unit.kind === 'import') return;
    if (path.length > 0 && !this.changed.has(file) && !this.checkLoaded(this.loadedOf(file))) return;
    const written = this.writtenNames(file);
    const isFree = (u: Unit): boolean =>
      // Where nothing is called nothing happens, whatever functions in it would do.
      (!u.calls && u.writes.length === 0) ||
      (u.initializer !== undefined && this.effects.isFree(u.initializer, file));
    // A new variable, a new class, can't hold anything yet.
    const fresh =
      path.length === 0 && !unit.names.some((name) => this.before.modules.get(file)?.byName.has(name));
    if (fresh && unit.kind !== 'constant' && unit.kind !== 'effect') return;
    const called = unit.calls || this.changed.get(file)?.diff.before.get(unit)?.calls;
    const problem = remakeProblem(this.ts, unit, fresh ? new Set() : written, isFree);
    if (problem !== undefined) this.refuse(file, `${problem}${because(mark)}`, position);
    else if (!fresh && unit.kind === 'constant' && called && !isPlain(this.loadedOf(file), unit)) {
      this.refuse(file, `${unitName(unit)} may hold state of its own${because(mark)}`, position);
    }
  }

  /** Names of a module that its code, old or new, sets or whose fields it sets. */
  private writtenNames(file: string): Set<string> {
    const names = new Set<string>();
    for (const library of [this.before, this.after]) {
      for (const { writes } of library.modules.get(file)?.units ?? []) {
        for (const { name, from } of writes) if (from === undefined) names.add(name);
      }
    }
    return names;
  }

  /**
   * What the old code left in variables and caches: where it holds something, and what filled it would behave differently
   * now, its content is of the old code and would pass for the new one's.
   */
  private checkState(marks: ReadonlyMap<Unit, Mark>): void {
    const writers: { file: string; unit: Unit; mark?: Mark }[] = [];
    for (const mark of marks.values()) {
      const { file, unit } = mark.place;
      const earlier = this.changed.get(file)?.diff.before.get(unit);
      if (mark.path.length > 0 || earlier) writers.push({ file, unit: earlier ?? unit, mark });
    }
    for (const [file, { diff }] of this.changed) {
      for (const unit of diff.gone) writers.push({ file, unit });
    }
    for (const { file, unit, mark } of writers) {
      for (const { name, from, counts, position } of unit.writes) {
        if (counts) continue;
        for (const target of this.before.targets(file, { name, from })) {
          const { kind, scratch, names } = target.unit;
          const kept = this.after.modules.get(target.file)?.byName.has(names[0]);
          if (kind === 'import' || kind === 'frame' || scratch || !kept) continue;
          const loaded = this.record.modules.get(target.file);
          if (!loaded || !isLive(this.ts, loaded, target.unit)) continue;
          const cause = mark && mark.path.length > 0 ? because(mark) : ', which changed';
          const holder = `${unitName(target.unit)}${target.file === file ? '' : ` of ${this.display(target.file)}`}`;
          const reason = `${holder} still holds what was left there by ${unitName(unit)}${cause}`;
          this.refuse(file, reason, this.changed.has(file) ? undefined : position);
        }
      }
    }
  }

  private loadedOf(file: string): LoadedModule {
    return this.record.modules.get(file)!;
  }

  private refuse(file: string, reason: string, position?: number, mistake: boolean = false): void {
    const line = this.lineOf(file, position);
    this.refused.push({ file: `lib/${this.nameOf(file)}`, line, reason, mistake });
  }

  private display(file: string, position?: number): string {
    const line = this.lineOf(file, position);
    return `lib/${this.nameOf(file)}${line === undefined ? '' : `:${line}`}`;
  }

  private nameOf(file: string): string {
    return sourceName(this.record.dist, file);
  }

  private lineOf(file: string, position: number | undefined): number | undefined {
    const module = this.after.modules.get(file);
    if (position === undefined || !module) return undefined;
    const map = this.changed.get(file)?.change.compiled.map ?? this.loadedOf(file).map;
    const { line, character } = module.tree.getLineAndCharacterOfPosition(position);
    return placeInSource(map, line + 1, character + 1)?.line;
  }
}
