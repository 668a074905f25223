/** A kernel's side of hot reload: notices what changed in lib, says so, and swaps it when asked. */
import { createHash } from 'node:crypto';
import { displaySymbol } from '../../plot/display';
import { compileStep, typescript } from './compile';
import { exportsOf, recordLoads } from './loads';
import { type Change, groupChanges, type Plan, planGroup, type Refusal } from './plan';
import type { Step } from './steps';
import type { RefusedFile, ReloadOptions, ReloadReport } from './reload';
import { type Replaced, swap, SwapError } from './swap';
import { declarationsOf, type Scan, Watch } from './watch';

/** What a reloader is told about its kernel. */
export interface ReloaderOptions {
  /** The project's folder, with `lib` and `dist`. */
  root: string;
  /** The names that cells declared; those that hold something that is replaced get the new value. */
  locals: () => Record<string, unknown>;
  /** Declarations (paths in `dist`) that cells are to be checked against anew. */
  onTypesChanged: (files: string[]) => void;
  /** Called with true before and false after work that must not be stopped half-way. */
  busy?: (busy: boolean) => void;
}

/** Something to tell the user before a cell runs. */
export interface Notice {
  /** `changed`: lib differs from what runs; `reloaded`: it was swapped without being asked. */
  kind: 'changed' | 'reloaded';
  text: string;
}

/** Hot reload in one kernel. */
export interface Reloader {
  /** Looks for changes; returns what the user has not been told. Never throws. */
  beforeCell(): Notice | undefined;
  reload(options?: ReloadOptions): ReloadReport;
  close(): void;
}

type Outcome = Omit<ReloadReport, 'auto' | typeof displaySymbol>;
type Kernel = { [symbol]?: (options: ReloadOptions) => ReloadReport };

const symbol = Symbol.for('detlab.reload');
const restartToo = 'Restart the kernel to run lib as it is now.';
const howTo = "To swap what can be swapped, run: import { reload } from 'detlab'; await reload()";

/** Starts to watch. `recordLoads` should have been called before the library was loaded. */
export function createReloader(options: ReloaderOptions): Reloader {
  const record = recordLoads(options.root);
  const watch = new Watch(record);
  let auto = false;
  let told = '';

  /** Whether a scan found what the user has not been told, who is taken to be told now. */
  function isNews(scan: Scan): boolean {
    const waiting = scan.changes.filter(({ loaded, compiled }) => loaded.text !== compiled.js);
    const parts = [
      ...waiting.map(({ loaded, compiled }) => [loaded.name, compiled.js]),
      ...scan.broken.map(({ name, problems }) => [name, ...problems]),
      ...scan.deleted,
    ];
    const key = parts.length === 0 ? '' : createHash('sha1').update(JSON.stringify(parts)).digest('hex');
    const news = key !== '' && key !== told;
    told = key;
    return news;
  }

  function look(): Scan {
    const scan = watch.scan();
    if (scan.types.length > 0) options.onTypesChanged(scan.types);
    return scan;
  }

  /** Takes each group's plan and does with it what `act` says. */
  function each(scan: Scan, act: (group: Change[], plan: Plan) => void): void {
    if (scan.changes.length === 0) return;
    for (const group of groupChanges(typescript(), watch.running(), scan.changes)) {
      act(group, planGroup(typescript(), record, watch.running(), group));
    }
  }

  function run(scan: Scan): Outcome {
    const reloaded: { file: string; names: readonly string[] }[] = [];
    const refused = unusable(scan);
    const notes: string[] = [];
    each(scan, (group, plan) => {
      if ('refused' in plan) {
        refused.push(...refusals(group, plan.refused));
        return;
      }
      const before = plan.steps.map(({ loaded }) => ({ ...exportsOf(loaded.file) }));
      let replaced: Replaced;
      try {
        replaced = swap(typescript(), record, watch.running(), plan.steps);
        refreshLocals(options.locals(), replaced);
      } catch (error) {
        if (!(error instanceof SwapError)) throw error;
        const { message: reason } = error;
        for (const { loaded } of group) refused.push({ file: `lib/${loaded.name}`, reason, restart: false });
        return;
      }
      for (const { loaded, compiled } of group) compileStep.writeCompiled(loaded.file, compiled);
      options.onTypesChanged(group.map(({ loaded }) => declarationsOf(loaded.file)));
      plan.steps.forEach((step, i) => {
        reloaded.push({ file: `lib/${step.loaded.name}`, names: step.names });
        notes.push(...keptValues(step, before[i], options.locals()));
      });
    });
    return { reloaded, refused, notes };
  }

  function notice(scan: Scan): Notice {
    const swappable: string[] = [];
    const refused = unusable(scan);
    each(scan, (group, plan) => {
      if ('refused' in plan) refused.push(...refusals(group, plan.refused));
      else swappable.push(...plan.steps.map((step) => line(`lib/${step.loaded.name}`, step.names)));
    });
    const lines = ['Files of lib changed; this kernel goes on with what it loaded.'];
    lines.push(...swappable.map((text) => `  can be swapped: ${text}`));
    for (const { file, reason, restart } of refused) {
      lines.push(`  ${restart ? 'needs a restart' : 'has a mistake'}: ${file}: ${reason}`);
    }
    if (swappable.length > 0) lines.push(howTo);
    else if (refused.some(({ restart }) => restart)) lines.push(restartToo);
    return { kind: 'changed', text: lines.join('\n') };
  }

  function guarded<T>(work: () => T): T {
    options.busy?.(true);
    try {
      return work();
    } finally {
      options.busy?.(false);
    }
  }

  function beforeCell(): Notice | undefined {
    try {
      const scan = look();
      if (!isNews(scan)) return undefined;
      if (!auto) return notice(scan);
      const outcome = run(scan);
      isNews(scan);
      return { kind: 'reloaded', text: describe(outcome) };
    } catch (error) {
      const text = `Changes of lib could not be looked for: ${error instanceof Error ? error.message : String(error)}`;
      if (told === text) return undefined;
      told = text;
      return { kind: 'changed', text };
    }
  }

  function reload({ auto: wanted = auto }: ReloadOptions = {}): ReloadReport {
    auto = wanted;
    const scan = look();
    const outcome = run(scan);
    isNews(scan);
    return { ...outcome, auto, [displaySymbol]: () => ({ 'text/plain': describe(outcome, auto) }) };
  }

  const ask = (wanted?: ReloadOptions): ReloadReport => guarded(() => reload(wanted));
  (globalThis as Kernel)[symbol] = ask;
  return {
    beforeCell: () => guarded(beforeCell),
    reload: ask,
    close() {
      if ((globalThis as Kernel)[symbol] === ask) delete (globalThis as Kernel)[symbol];
    },
  };
}

/** Gives every variable that holds a replaced function, class or object the new one. */
export function refreshLocals(locals: Record<string, unknown>, replaced: Replaced): void {
  for (const name of Object.keys(locals)) {
    const value = locals[name];
    if (replaced.has(value)) locals[name] = replaced.get(value);
  }
}

/** Numbers and texts can't be told from others of the same value, so what cells hold of them stays. */
function keptValues(step: Step, before: Record<string, unknown>, locals: Record<string, unknown>): string[] {
  const now = exportsOf(step.loaded.file);
  return Object.keys(before).flatMap((name) => {
    const old = before[name];
    if ((typeof old === 'object' && old !== null) || typeof old === 'function') return [];
    if (!(name in now) || now[name] === old) return [];
    if (!Object.hasOwn(locals, name) || locals[name] !== old) return [];
    return [`${name} is ${String(now[name])} now; cells see ${String(old)} until its import runs again`];
  });
}

/** What can't be swapped whatever it holds. */
function unusable(scan: Scan): RefusedFile[] {
  return [
    ...scan.broken.map(({ name: file, problems }) => {
      const reason = `does not compile: ${problems.slice(0, 3).join('; ')}`;
      return { file, reason, restart: false };
    }),
    ...scan.deleted.map((file) => ({ file, reason: 'was deleted', restart: true })),
  ];
}

/** The reasons by file; a file without one of its own stays for the sake of the others. */
function refusals(group: readonly Change[], refused: readonly Refusal[]): RefusedFile[] {
  const restart = !refused.some(({ mistake }) => mistake);
  return group.map(({ loaded }) => {
    const file = `lib/${loaded.name}`;
    const own = refused.filter((refusal) => refusal.file === file);
    const reasons = own.length > 0 ? own : refused;
    const words = new Set(reasons.slice(0, 3).map((refusal) => reasonText(refusal, file)));
    const others = group.length > 1 && own.length === 0 ? 'changed together with others: ' : '';
    return { file, reason: `${others}${[...words].join('; ')}`, restart };
  });
}

function reasonText({ file, line: at, reason }: Refusal, about: string): string {
  if (file !== about) return `${file}${at === undefined ? '' : `:${at}`}: ${reason}`;
  return at === undefined ? reason : `line ${at}: ${reason}`;
}

function describe({ reloaded, refused, notes }: Outcome, auto?: boolean): string {
  const lines = [
    ...reloaded.map(({ file, names }) => `Reloaded ${line(file, names)}`),
    ...notes,
    ...refused.map(({ file, reason }) => `Not reloaded: ${file}: ${reason}`),
  ];
  if (refused.some(({ restart }) => restart)) lines.push(restartToo);
  if (lines.length === 0) lines.push('Nothing to reload: this kernel runs lib as it is.');
  if (auto) lines.push('From now on changes are looked for before each cell.');
  return lines.join('\n');
}

function line(file: string, names: readonly string[]): string {
  return names.length === 0 ? file : `${file} (${names.join(', ')})`;
}
