/**
 * Carries out a plan: what is made again is evaluated as new code inside the old module's scope, where everything that stays
 * is found under its name, state included; then the exports that other modules read are pointed to it. All or nothing.
 */
import { createRequire } from 'node:module';
import type { ClassDeclaration } from 'typescript';
import { staticParts } from './classes';
import type { Ts } from './compile';
import { Library, type Modules, overlay } from './library';
import { type Exports, exportsOf, type LoadRecord, placeInSource, scopeTail } from './loads';
import type { Step } from './steps';
import type { Unit } from './units';

/** Thrown where the new code fails as it loads. Everything is as it was before. */
export class SwapError extends Error {
  override readonly name: string = 'SwapError';
}

/** What the steps of a plan replaced: old values of exports and the new ones. */
export type Replaced = Map<unknown, unknown>;

/** Swaps. @throws SwapError naming the line of lib that failed. */
export function swap(ts: Ts, record: LoadRecord, running: Modules, steps: readonly Step[]): Replaced {
  const undo: (() => void)[] = [];
  const before = new Map(steps.map(({ loaded }) => [loaded.file, { ...exportsOf(loaded.file) }]));
  const scopes = new Map<Step, ReturnType<LoadRecord['takeScope']>>();
  let current: Step | undefined;
  try {
    for (const step of steps) {
      current = step;
      const exports = exportsOf(step.loaded.file);
      undo.push(restorer(exports));
      evaluate(ts, record, step, undo);
      scopes.set(step, record.takeScope(step.loaded.file));
      for (const unit of step.passOn) passOn(exports, step.loaded.file, unit);
      for (const name of step.removedExports) delete exports[name];
    }
    const after = new Library(overlay(running, new Map(steps.map((s) => [s.loaded.file, s.units]))));
    for (const file of after.dependents(before.keys())) passOnAdded(file, after, undo);
  } catch (error) {
    for (const back of undo.reverse()) back();
    throw explain(record, current!, error);
  }
  const replaced: Replaced = new Map();
  for (const step of steps) {
    const { loaded, units, change } = step;
    loaded.text = units.text;
    loaded.map = change ? change.compiled.map : loaded.map;
    loaded.scope = scopes.get(step);
    loaded.generation++;
    loaded.maps.push(loaded.map);
    const now = exportsOf(loaded.file);
    for (const [name, old] of Object.entries(before.get(loaded.file)!)) {
      const identity = typeof old === 'function' || (typeof old === 'object' && old !== null);
      if (identity && name in now && now[name] !== old) replaced.set(old, now[name]);
    }
  }
  return replaced;
}

/** Puts a module's exports back; the object stays the one that everybody holds. */
function restorer(exports: Exports): () => void {
  const saved = Object.getOwnPropertyDescriptors(exports);
  return () => {
    for (const name of Object.keys(exports)) if (!(name in saved)) delete exports[name];
    for (const [name, descriptor] of Object.entries(saved)) {
      if (descriptor.configurable) Object.defineProperty(exports, name, descriptor);
    }
  };
}

const patcher = '__detlabPatch';

function evaluate(ts: Ts, record: LoadRecord, step: Step, undo: (() => void)[]): void {
  const { loaded } = step;
  const script = record.scriptName(loaded.file, loaded.generation + 1);
  const code = `(function (${patcher}) {${layout(ts, step)}${scopeTail}\n})\n//# sourceURL=${script}`;
  // The scope is there: the plan refuses modules without.
  const run = loaded.scope!(code) as (patch: (old: Class, now: Class) => void) => void;
  run((old, now) => {
    undo.push(patchClass(old, now));
  });
}

/** The new text with everything blanked that isn't evaluated, so that lines and columns are those of the source map. */
function layout(ts: Ts, { units: { text, tree }, remake, patch }: Step): string {
  const kept = text.replace(/[^\n]/g, ' ').split('');
  const put = (start: number, end: number): void => {
    for (let i = start; i < end; i++) kept[i] = text[i];
  };
  const blank = (start: number, end: number): void => {
    for (let i = start; i < end; i++) if (text[i] !== '\n') kept[i] = ' ';
  };
  for (const { node } of remake) put(node.getStart(tree), node.end);
  for (const unit of patch) {
    const node = unit.node as ClassDeclaration;
    const start = node.getStart(tree);
    put(start, node.end);
    // Without a name of its own, the class's methods mean the old class by it.
    const name = node.name!;
    blank(name.getStart(tree), name.end);
    for (const member of staticParts(ts, unit)) blank(member.getStart(tree), member.end);
    kept[start] = `${patcher}(${name.text}, ${kept[start]}`;
    kept[node.end - 1] += ');';
  }
  return kept.join('');
}

type Class = { prototype: object } & object;

/** Gives a class the methods of another; returns what undoes it. */
function patchClass(old: Class, now: Class): () => void {
  const undo = [replaceProperties(old.prototype, now.prototype, ['constructor']), replaceMethods(old, now)];
  return () => undo.forEach((back) => back());
}

function replaceProperties(target: object, source: object, except: readonly string[]): () => void {
  const saved = Object.getOwnPropertyDescriptors(target) as PropertyDescriptorMap;
  const isOther = (key: PropertyKey): boolean => !except.includes(key as string);
  for (const key of Reflect.ownKeys(target).filter(isOther)) {
    if (!Object.hasOwn(source, key)) delete (target as Record<PropertyKey, unknown>)[key];
  }
  for (const key of Reflect.ownKeys(source).filter(isOther)) {
    Object.defineProperty(target, key, Object.getOwnPropertyDescriptor(source, key)!);
  }
  return () => {
    for (const key of Reflect.ownKeys(target).filter(isOther))
      delete (target as Record<PropertyKey, unknown>)[key];
    for (const key of Reflect.ownKeys(saved).filter(isOther))
      Object.defineProperty(target, key, saved[key as string]);
  };
}

/** Static methods. Static fields hold state and stay; they are enumerable, which methods aren't. */
function replaceMethods(target: object, source: object): () => void {
  const fields = Object.keys(target);
  return replaceProperties(target, source, ['length', 'name', 'prototype', ...fields]);
}

function passOn(exports: Exports, file: string, unit: Unit): void {
  const source = createRequire(file)(unit.from!) as Exports;
  if (unit.kind === 'star') addGetters(exports, source);
  else defineGetter(exports, unit.names[0].replace(/^exports\./, ''), source, unit.passes!);
}

/** Exports that a module gained show up where it is passed on. */
function passOnAdded(file: string, library: Library, undo: (() => void)[]): void {
  const targets = library.stars(file);
  if (targets.length === 0) return;
  const exports = exportsOf(file);
  undo.push(restorer(exports));
  for (const target of targets) if (library.modules.has(target)) addGetters(exports, exportsOf(target));
}

function addGetters(exports: Exports, source: Exports): void {
  for (const name of Object.keys(source)) {
    if (name !== 'default' && !Object.hasOwn(exports, name)) defineGetter(exports, name, source, name);
  }
}

function defineGetter(exports: Exports, name: string, source: Exports, property: string): void {
  Object.defineProperty(exports, name, { enumerable: true, configurable: true, get: () => source[property] });
}

/** What new code threw as it loaded, with its place in lib. */
function explain(record: LoadRecord, step: Step, thrown: unknown): SwapError {
  const { loaded, change } = step;
  const words = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  const message = words.split('\n')[0];
  const script = record.scriptName(loaded.file, loaded.generation + 1);
  const frame =
    thrown instanceof Error ? (thrown.stack ?? '').split('\n').find((l) => l.includes(`${script}:`)) : '';
  const [, line, column] = /:(\d+):(\d+)\)?$/.exec(frame ?? '') ?? [];
  const map = change ? change.compiled.map : loaded.map;
  const place = line === undefined ? undefined : placeInSource(map, Number(line), Number(column));
  const at = place ? `lib/${loaded.name}:${place.line}` : `lib/${loaded.name}`;
  return new SwapError(`${at} failed as it loaded, ${message}`, { cause: thrown });
}
