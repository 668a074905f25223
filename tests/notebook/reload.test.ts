/** Hot reload of a small library: what is swapped, and what is refused because it could break what lives. */
import fs from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { reload } from '../../lib/notebook/reload/reload';
import { SmallProject } from './reload-project';

type F = (...args: number[]) => number;
type Functions = Record<string, F>;

let project: SmallProject | undefined;
afterEach(() => {
  project?.close();
  project = undefined;
});

function start(files: Record<string, string>): SmallProject {
  project = new SmallProject(files);
  project.use();
  return project;
}

/** The reasons of a reload that is to swap nothing, one line a file. */
function refusals(p: SmallProject): string {
  const report = p.reloader.reload();
  expect(report.reloaded).toEqual([]);
  return report.refused.map(({ file, reason }) => `${file}: ${reason}`).join('\n');
}

const area = `/** Area. */
export function area(w: number, h: number): number {
  return scale(w * h);
}

function scale(x: number): number {
  return x;
}

export const half = (x: number): number => x / 2;

export function untouched(): number {
  return 1;
}
`;
const box = `import { area } from './area';

export function boxArea(w: number): number {
  return area(w, w);
}
`;

describe('functions', () => {
  test('are swapped for the library, its index and the names of cells', () => {
    const p = start({ 'area.ts': area, 'box.ts': box });
    const lib = p.use<Functions>();
    const { untouched } = lib;
    Object.assign(p.locals, { area: lib.area, mine: lib.area, other: 5, untouched });
    expect(p.reloader.beforeCell()).toBeUndefined();
    p.edit('area.ts', 'return x;', 'return 10 * x;');
    const notice = p.reloader.beforeCell();
    expect(notice?.kind).toBe('changed');
    expect(notice?.text).toContain('can be swapped: lib/area.ts (scale)');
    expect(notice?.text).toContain('await reload()');
    // Once is enough, and nothing runs differently until it is asked for.
    expect(p.reloader.beforeCell()).toBeUndefined();
    expect(lib.boxArea(2)).toBe(4);

    const report = p.reloader.reload();
    expect(report).toMatchObject({ reloaded: [{ file: 'lib/area.ts', names: ['scale'] }], refused: [] });
    expect(lib.boxArea(2)).toBe(40);
    expect((p.locals.area as F)(2, 3)).toBe(60);
    expect(p.locals.mine).toBe(p.locals.area);
    expect(p.locals.other).toBe(5);
    expect(lib.untouched).toBe(untouched);
    expect(p.types).toEqual(['area.d.ts']);
    expect(p.busy).toBe(false);
    expect(p.wasBusy).toBe(true);
    expect(p.reloader.beforeCell()).toBeUndefined();
    expect(p.reloader.reload().reloaded).toEqual([]);
  });

  test('follow two changes in a row, and one that was taken back', () => {
    const p = start({ 'area.ts': area, 'box.ts': box });
    const lib = p.use<Functions>();
    p.edit('area.ts', 'return x;', 'return 10 * x;');
    expect(p.reloader.beforeCell()?.text).toContain('lib/area.ts (scale)');
    p.edit('area.ts', 'x / 2', 'x / 4');
    expect(p.reloader.beforeCell()?.text).toContain('lib/area.ts (scale, half)');
    p.reloader.reload();
    expect([lib.boxArea(2), lib.half(4)]).toEqual([40, 1]);
    p.edit('area.ts', 'return 10 * x;', 'return 100 * x;');
    p.reloader.reload();
    expect([lib.boxArea(2), lib.half(4)]).toEqual([400, 1]);
    p.edit('area.ts', 'return 100 * x;', 'return 7 * x;');
    expect(p.reloader.beforeCell()).toBeDefined();
    p.edit('area.ts', 'return 7 * x;', 'return 100 * x;');
    expect(p.reloader.beforeCell()).toBeUndefined();
    expect(p.reloader.reload().reloaded).toEqual([]);
    p.write('area.ts', area);
    p.reloader.reload();
    expect([lib.boxArea(2), lib.half(4)]).toEqual([4, 2]);
  });

  test('need no reload for a touch, a comment, a layout or a build by another process', () => {
    const p = start({ 'area.ts': area, 'box.ts': box });
    p.touch('area.ts');
    expect(p.reloader.beforeCell()).toBeUndefined();
    expect(p.types).toEqual([]);
    p.edit('area.ts', '/** Area. */', '/** Area of a box,\n * in pixels. */\n');
    p.edit('area.ts', '(x: number): number => x / 2', '(\n  x: number,\n): number =>\n  x / 2');
    expect(p.reloader.beforeCell()).toBeUndefined();
    p.edit('area.ts', 'return x;', 'return 2 * x;');
    p.build();
    expect(p.reloader.beforeCell()?.text).toContain('lib/area.ts (scale)');
    p.reloader.reload();
    expect(p.use<Functions>().boxArea(2)).toBe(8);
  });

  test('that throw afterwards name the lines of the new source', () => {
    const p = start({ 'area.ts': area });
    p.edit('area.ts', '  return x;', `\n\n  if (x > 5) throw new RangeError('too big');\n  return x;`);
    p.reloader.reload();
    let stack = '';
    try {
      p.use<Functions>().area(3, 3);
    } catch (error) {
      stack = (error as Error).stack!;
    }
    const [, script, line, column] = /\((.*area\.js[^:]*):(\d+):(\d+)\)/.exec(stack)!;
    expect(p.sourcePlace(script, Number(line), Number(column))).toEqual({
      name: 'area.ts',
      line: 9,
      column: 20,
    });
  });
});

describe('constants', () => {
  test('are computed again where other files were computed from them', () => {
    const p = start({
      'limit.ts': `export const limit = 3;\nexport function grow(x: number): number {\n  return x + 1;\n}\nexport const names: string[] = ['a'];\n`,
      'table.ts': `import { grow, limit } from './limit';
export const table: readonly number[] = Array.from({ length: limit }, (_, i) => grow(i));
export const unrelated: readonly number[] = [1].map((x) => x);
`,
      'top.ts': `import { table } from './table';
export const total: number = table.reduce((sum, x) => sum + x, 0);
export function sum(): number {
  return table.reduce((a, x) => a + x, 0);
}
`,
    });
    const lib = p.use<{ table: number[]; unrelated: number[]; total: number; sum: F; limit: number }>();
    const { unrelated } = lib;
    Object.assign(p.locals, { table: lib.table, limit: lib.limit });
    expect([lib.total, lib.sum()]).toEqual([6, 6]);
    p.edit('limit.ts', 'limit = 3', 'limit = 4');
    const report = p.reloader.reload();
    expect(report.reloaded.map(({ file, names }) => [file, ...names])).toEqual([
      ['lib/limit.ts', 'limit'],
      ['lib/table.ts', 'table'],
      ['lib/top.ts', 'total'],
    ]);
    expect([lib.total, lib.sum()]).toEqual([10, 10]);
    expect(p.locals.table).toBe(lib.table);
    expect(lib.unrelated).toBe(unrelated);
    // A number can't be told from others.
    expect(report.notes).toEqual(['limit is 4 now; cells see 3 until its import runs again']);
    p.edit('limit.ts', 'x + 1', 'x + 2');
    p.reloader.reload();
    expect([lib.total, lib.sum()]).toEqual([14, 14]);
  });

  test('are left alone where computing them does more, or where they may hold state', () => {
    const p = start({
      'scale.ts': `export function scale(x: number): number {\n  return x;\n}\n`,
      'made.ts': `import { EventEmitter } from 'node:events';
import { scale } from './scale';
export const emitter: EventEmitter = new EventEmitter({ captureRejections: scale(1) > 5 });
`,
    });
    const { emitter } = p.use<{ emitter: unknown }>();
    p.edit('scale.ts', 'return x', 'return 2 * x');
    expect(refusals(p)).toMatch(
      /^lib\/scale.ts: lib\/made.ts:3: computing emitter again might do more .*depends on scale, which changed$/,
    );
    expect(p.use()).toMatchObject({ emitter });
    expect(p.use<Functions>().scale(1)).toBe(1);

    p.close();
    const q = start({
      'store.ts': `function createStore(first: number): { add(x: number): void; sum(): number } {
  const all = [first];
  return { add: (x) => void all.push(x), sum: () => all.reduce((a, b) => a + b, 0) };
}
export const store: { add(x: number): void; sum(): number } = createStore(1);
`,
    });
    q.edit('store.ts', 'a + b, 0', 'a + b, 1');
    expect(refusals(q)).toContain('lib/store.ts: line 5: store may hold state of its own');
  });

  test('of functions are not captured by functions that call them', () => {
    const p = start({
      'a.ts': `export const options = { factor: 2 };\nexport const apply = (x: number, by: number = options.factor): number => x * by;\n`,
      'b.ts': `import { apply, options } from './a';\nexport function twice(x: number, by: number = options.factor): number {\n  return apply(apply(x), by);\n}\n`,
    });
    p.edit('a.ts', 'factor: 2', 'factor: 3');
    const report = p.reloader.reload();
    expect(report.reloaded.map(({ file }) => file)).toEqual(['lib/a.ts']);
    expect(p.use<Functions>().twice(1)).toBe(9);
  });
});

const counter = `import { step } from './step';
export class Counter {
  static made = 0;
  count = 0;
  constructor(readonly by: number) {
    Counter.made++;
  }
  next(): number {
    this.count = step(this.count, this.by);
    return this.count;
  }
  get double(): number {
    return 2 * this.count;
  }
  gone(): number {
    return 1;
  }
  static create(): Counter {
    return new Counter(1);
  }
}
export class Loud extends Counter {
  override next(): number {
    return 100 + super.next();
  }
}
`;
const step = `export function step(x: number, by: number): number {\n  return x + by;\n}\n`;
interface CounterLike {
  next(): number;
  double: number;
  gone?: F;
  added?: F;
}
interface CounterLibrary {
  Counter: (new (by: number) => CounterLike) & { create(): CounterLike; made: number };
  Loud: new (by: number) => CounterLike;
}

describe('classes', () => {
  test('give their living instances the new methods', () => {
    const p = start({ 'counter.ts': counter, 'step.ts': step });
    const { Counter, Loud } = p.use<CounterLibrary>();
    const [one, loud] = [new Counter(2), new Loud(1)];
    expect([one.next(), one.double]).toEqual([2, 4]);
    p.edit('counter.ts', 'return this.count;', 'return -this.count;');
    p.edit('counter.ts', '2 * this.count', '3 * this.count');
    p.edit('counter.ts', 'new Counter(1)', 'new Counter(7)');
    p.edit('counter.ts', 'gone(): number {\n    return 1;', 'added(): number {\n    return this.next();');
    const report = p.reloader.reload();
    expect(report.refused).toEqual([]);
    expect(report.reloaded[0].names).toEqual([
      'Counter.next',
      'Counter.get double',
      'Counter.gone',
      'Counter.create',
      'Counter.added',
    ]);
    expect([one.next(), one.double, one.added!(), one.gone]).toEqual([-4, 12, -6, undefined]);
    expect(loud.next()).toBe(99);
    expect(one).toBeInstanceOf(p.use<CounterLibrary>().Counter);
    expect(p.use<CounterLibrary>().Counter).toBe(Counter);
    const created = Counter.create();
    expect(created).toBeInstanceOf(Counter);
    expect([created.next(), Counter.made]).toEqual([-7, 3]);
  });

  test('follow functions that their methods call', () => {
    const p = start({
      'counter.ts': `${counter.replace(/^import.*\n/, '')}function step(x: number, by: number): number {\n  return x + by;\n}\n`,
    });
    const one = new (p.use<CounterLibrary>().Counter)(2);
    one.next();
    p.edit('counter.ts', 'return x + by', 'return x + 10 * by');
    expect(p.reloader.reload().refused).toEqual([]);
    expect([one.next(), new (p.use<CounterLibrary>().Loud)(1).next()]).toEqual([22, 110]);
  });

  test.each([
    ['a field', 'count = 0;', 'count = 1;', 'its fields changed'],
    ['the constructor', 'Counter.made++;', 'Counter.made += 2;', 'its constructor changed'],
    ['a static field', 'static made = 0', 'static made = 5', 'its static fields changed'],
    [
      'its base',
      'export class Counter {',
      'export class Counter extends Object {',
      'it extends something else now',
    ],
    ['a private name', 'gone(): number', '#gone(): number', 'it has the private name #gone'],
  ])('are left alone when %s changes', (_, from, to, reason) => {
    const p = start({ 'counter.ts': counter, 'step.ts': step });
    const one = new (p.use<CounterLibrary>().Counter)(2);
    p.edit('counter.ts', from, to);
    p.edit('counter.ts', 'return this.count', 'return -this.count');
    expect(p.reloader.beforeCell()?.text).toContain(
      `needs a restart: lib/counter.ts: line 2: class Counter: ${reason}`,
    );
    expect(refusals(p)).toContain(reason);
    expect(one.next()).toBe(2);
  });

  test('that are new may use what is new', () => {
    const p = start({ 'counter.ts': counter, 'step.ts': step });
    p.edit(
      'counter.ts',
      'export class Loud',
      `function first(): number {\n  return 50;\n}\nexport class Late extends Counter {\n  override count: number = first();\n}\nexport class Loud`,
    );
    expect(p.reloader.reload().refused).toEqual([]);
    const { Counter, Late } = p.use<CounterLibrary & { Late: CounterLibrary['Loud'] }>();
    expect(new Late(1)).toBeInstanceOf(Counter);
    expect(new Late(1).next()).toBe(51);
  });

  test('are left alone when what their constructor uses is replaced', () => {
    const p = start({
      'gauge.ts': `function first(): number {\n  return 1;\n}\nexport class Gauge {\n  value: number = first();\n}\nexport class Meter {\n  value: number;\n  constructor() {\n    this.value = first();\n  }\n}\n`,
    });
    p.edit('gauge.ts', 'return 1', 'return 2');
    expect(refusals(p)).toBe(
      'lib/gauge.ts: line 5: class Gauge: its constructor or a field uses first, which is replaced; ' +
        'line 10: class Meter: its constructor or a field uses first, which is replaced',
    );
  });
});

describe('state', () => {
  const state = `let count = 0;
const cache = new Map<number, number>();
const scratch = new Float32Array(1);
export function next(): number {
  return ++count;
}
export function cached(x: number): number {
  if (!cache.has(x)) cache.set(x, square(x));
  return cache.get(x)!;
}
export function rounded(x: number): number {
  scratch[0] = x;
  return scratch[0] + shift();
}
function square(x: number): number {
  return x * x;
}
function shift(): number {
  return 0;
}
`;

  test('is kept by functions that change around it', () => {
    const p = start({ 'state.ts': state });
    const lib = p.use<Functions>();
    const old = lib.next;
    expect([lib.next(), lib.next(), lib.rounded(1)]).toEqual([1, 2, 1]);
    p.edit('state.ts', 'return ++count', 'return -++count');
    p.edit('state.ts', 'return 0;', 'return 5;');
    expect(p.reloader.reload().refused).toEqual([]);
    // Old and new code count together.
    expect([lib.next(), old(), lib.next(), lib.rounded(1)]).toEqual([-3, 4, -5, 6]);
  });

  test('is not taken from the old code by the new', () => {
    const p = start({ 'state.ts': state });
    const lib = p.use<Functions>();
    p.edit('state.ts', 'x * x', 'x * x * x');
    expect(p.reloader.reload().reloaded).toHaveLength(1);
    expect(lib.cached(2)).toBe(8);
    p.edit('state.ts', 'x * x * x', 'x');
    expect(refusals(p)).toContain(
      'cache still holds what was left there by cached: it depends on square, which changed',
    );
    expect(lib.cached(2)).toBe(8);
  });

  test('of another file counts, too', () => {
    const p = start({
      'square.ts': `export function square(x: number): number {\n  return x * x;\n}\n`,
      'cache.ts': `import { square } from './square';\nconst cache = new Map<number, number>();\nexport function cached(x: number): number {\n  const known = cache.get(x) ?? square(x);\n  cache.set(x, known);\n  return known;\n}\n`,
    });
    p.use<Functions>().cached(3);
    p.edit('square.ts', 'x * x', 'x');
    expect(refusals(p)).toMatch(
      /^lib\/square.ts: lib\/cache.ts:5: cache still holds what was left there by cached/,
    );
  });

  test('that changes itself needs a restart', () => {
    const p = start({ 'state.ts': state });
    p.edit('state.ts', 'count = 0', 'count = 10');
    expect(refusals(p)).toContain('line 1: count is state');
    p.edit('state.ts', 'count = 10', 'count = 0');
    p.edit('state.ts', 'new Map<number, number>()', 'new Map<number, number>([[1, 1]])');
    expect(refusals(p)).toContain('line 2: cache is state');
  });

  test('is not seen in a local name that hides it', () => {
    const p = start({
      'hidden.ts': `let total: number | undefined;
export function remember(x: number): void {
  total = x;
}
export function local(x: number): number {
  let total = 0;
  for (const count of [x]) total = helper(count);
  return total;
}
export const other = ({ total }: { total: number }): number => {
  total = helper(total);
  return total;
};
function helper(x: number): number {
  return x;
}
`,
    });
    const lib = p.use<Functions>();
    lib.remember(5);
    p.edit('hidden.ts', 'return x;', 'return 2 * x;');
    expect(p.reloader.reload().refused).toEqual([]);
    expect(lib.local(2)).toBe(4);
  });
});

describe('code that runs as a file loads', () => {
  const registry = `export const registered: string[] = [];\nexport function register(name: string): void {\n  registered.push(name);\n}\n`;
  const kernels = `import { register } from './registry';
register('relu');
export function relu(x: number): number {
  return positive(x);
}
function positive(x: number): number {
  return Math.max(x, 0);
}
`;

  test('is not run again', () => {
    const p = start({ 'registry.ts': registry, 'kernels.ts': kernels });
    const lib = p.use<Functions & { registered: string[] }>();
    p.edit('kernels.ts', 'Math.max(x, 0)', 'Math.max(x, 1)');
    expect(p.reloader.reload().refused).toEqual([]);
    expect([lib.relu(-1), ...lib.registered]).toEqual([1, 'relu']);
  });

  test('is refused where it changed, is new, is gone or depends on what changed', () => {
    const p = start({ 'registry.ts': registry, 'kernels.ts': kernels });
    p.edit('kernels.ts', `register('relu')`, `register('relu6')`);
    expect(refusals(p)).toContain('line 2: this statement runs when the file loads');
    p.edit('kernels.ts', `register('relu6');\n`, '');
    expect(refusals(p)).toContain('a statement that ran when the file loaded was removed');
    p.write('kernels.ts', kernels);
    p.edit('registry.ts', 'push(name)', 'push(name.toUpperCase())');
    expect(refusals(p)).toContain('registered still holds what was left there by register, which changed');
    p.write('registry.ts', registry);
    p.edit('kernels.ts', `register('relu')`, `if (positive(1) > 0) register('relu')`);
    expect(refusals(p)).toContain('line 2: this statement runs when the file loads');
  });

  test('is refused where what it uses changed', () => {
    const p = start({
      'name.ts': `export function name(): string {\n  return 'a';\n}\n`,
      'title.ts': `import { name } from './name';\nperformance.mark(name());\n`,
    });
    p.edit('name.ts', `'a'`, `'b'`);
    expect(refusals(p)).toBe(
      'lib/name.ts: lib/title.ts:2: this statement runs when the file loads, and has run: it depends on name, which changed',
    );
  });
});

describe('a change that fails', () => {
  test('does not compile: the notice names file, line and column, and the old code stays', () => {
    const p = start({ 'area.ts': area, 'box.ts': box });
    p.edit('area.ts', 'return x;', 'return x +;');
    const text = p.reloader.beforeCell()!.text;
    expect(text).toContain(
      'has a mistake: lib/area.ts: does not compile: lib/area.ts:7:13 Expression expected.',
    );
    expect(text).not.toContain('await reload()');
    expect(p.reloader.beforeCell()).toBeUndefined();
    expect(refusals(p)).toContain('lib/area.ts: does not compile');
    expect(p.use<Functions>().boxArea(2)).toBe(4);
    p.edit('area.ts', 'return x +;', 'return x + 1;');
    expect(p.reloader.beforeCell()?.text).toContain('can be swapped');
    p.reloader.reload();
    expect(p.use<Functions>().boxArea(2)).toBe(5);
  });

  test('throws as it loads: nothing of it is left, in any file', () => {
    const p = start({
      'limit.ts': `export const limit: number = 3;\nexport function twice(): number {\n  return 2 * limit;\n}\n`,
      'table.ts': `import { limit } from './limit';\nexport const table: number[] = new Array<number>(limit).fill(1);\n`,
    });
    const lib = p.use<Functions & { table: number[]; limit: number }>();
    const { table, twice } = lib;
    p.locals.twice = twice;
    p.edit('limit.ts', 'limit: number = 3;', 'limit: number = -1;\nexport const added = 1;');
    expect(refusals(p)).toBe(
      'lib/limit.ts: lib/table.ts:2 failed as it loaded, RangeError: Invalid array length',
    );
    expect([lib.limit, lib.twice(), lib.table, lib.twice]).toEqual([3, 6, table, twice]);
    expect(p.locals.twice).toBe(twice);
    expect(lib).not.toHaveProperty('added');
    p.edit('limit.ts', '-1', '2');
    p.reloader.reload();
    expect([lib.limit, lib.twice(), lib.table.length]).toEqual([2, 4, 2]);
  });

  test('uses what does not exist', () => {
    const p = start({ 'area.ts': area, 'box.ts': box });
    p.edit('area.ts', 'return scale(', 'return scales(');
    expect(refusals(p)).toBe('lib/area.ts: line 3: scales is not defined');
    p.write('area.ts', area.replace(/function scale[^}]*}\n/, ''));
    expect(refusals(p)).toBe('lib/area.ts: line 3: scale is not defined');
    p.write('area.ts', area);
    p.edit('box.ts', '{ area }', '{ area, volume }');
    p.edit('box.ts', 'area(w, w)', 'volume(area(w, w))');
    expect(refusals(p)).toBe('lib/box.ts: line 4: lib/area.ts, as it runs here, has no volume');
  });
});

describe('exports', () => {
  test('that are new reach the index, also those of a new file', () => {
    const p = start({ 'area.ts': area, 'box.ts': box });
    const lib = p.use<Functions>();
    p.edit(
      'area.ts',
      'function scale',
      'export function triple(x: number): number {\n  return 3 * x;\n}\n\nfunction scale',
    );
    p.edit('box.ts', '{ area }', '{ area, triple }');
    p.edit('box.ts', 'return area(w, w)', 'return triple(area(w, w))');
    expect(p.reloader.reload().refused).toEqual([]);
    expect([lib.triple(2), lib.boxArea(1)]).toEqual([6, 3]);

    p.write(
      'deep/cube.ts',
      `import { triple } from '../area';\nexport const nine: number = triple(3);\nexport function cube(x: number): number {\n  return x ** 3;\n}\n`,
    );
    p.edit(
      'index.ts',
      `export * from './area';`,
      `export * from './area';\nexport * from './deep/cube';\nexport { cube as third } from './deep/cube';`,
    );
    expect(p.reloader.beforeCell()?.text).toContain('can be swapped: lib/index.ts');
    expect(p.reloader.reload().refused).toEqual([]);
    expect([lib.cube(2), lib.third(2), lib.nine]).toEqual([8, 8, 9]);
    p.edit('deep/cube.ts', 'x ** 3', '-(x ** 3)');
    p.edit('area.ts', '3 * x', '4 * x');
    p.reloader.reload();
    expect([lib.cube(2), lib.third(2), lib.nine, lib.boxArea(1)]).toEqual([-8, -8, 12, 4]);
  });

  test('that another file has already are refused', () => {
    const p = start({ 'area.ts': area, 'box.ts': box });
    p.edit(
      'area.ts',
      'function scale',
      'export function boxArea(): number {\n  return 0;\n}\nfunction scale',
    );
    expect(refusals(p)).toBe('lib/area.ts: it exports boxArea, which lib/index.ts has from another file');
  });

  test('of a file that is not there are refused', () => {
    const p = start({ 'area.ts': area });
    p.edit('index.ts', `export * from './area';`, `export * from './area';\nexport * from './none';`);
    expect(refusals(p)).toBe('lib/index.ts: line 2: ./none is not there');
    expect(p.use<Functions>().half(2)).toBe(1);
  });

  test('that a file loaded for the first time needs must be there, too', () => {
    const hidden = `let hidden = 0;\nexport const show = (): number => hidden++;\n`;
    const p = start({
      'area.ts': `${area}${hidden}`,
      'one.ts': `export function one(): number {\n  return 1;\n}\n`,
    });
    p.write('late.ts', `import { scale } from './area';\nexport const late = (): number => scale(2);\n`);
    p.edit('area.ts', 'function scale', 'export function scale');
    p.edit('area.ts', 'hidden = 0', 'hidden = 1');
    p.edit('one.ts', 'export', `import { late } from './late';\nexport`);
    p.edit('one.ts', 'return 1', 'return late()');
    expect(refusals(p)).toMatch(
      /lib\/one.ts: changed together with others: lib\/area.ts:15: hidden is state/,
    );
    expect(p.use<Functions>().one()).toBe(1);
    p.edit('area.ts', 'hidden = 1', 'hidden = 0');
    expect(p.reloader.reload().refused).toEqual([]);
    expect(p.use<Functions>().one()).toBe(2);

    p.write('later.ts', `import { none } from './area';\nexport const later = (): number => none(2);\n`);
    p.edit('one.ts', './late', './later');
    p.edit('one.ts', '{ late }', '{ later as late }');
    expect(refusals(p)).toBe('lib/one.ts: lib/later.ts: lib/area.ts, as it runs here, has no none');
  });

  test('can be removed where nobody uses them', () => {
    const p = start({ 'area.ts': area, 'box.ts': box });
    const { half } = p.use<Functions>();
    const lib = p.use<Functions>();
    p.locals.half = half;
    p.edit('area.ts', 'export const half = (x: number): number => x / 2;', '');
    expect(p.reloader.reload().refused).toEqual([]);
    expect(lib.half).toBeUndefined();
    expect(p.locals.half).toBe(half);
    p.edit(
      'index.ts',
      `export * from './box';`,
      `export * from './box';\nexport { untouched as again } from './area';`,
    );
    expect(p.reloader.reload().refused).toEqual([]);
    p.edit('area.ts', 'export function untouched', 'function untouched');
    expect(refusals(p)).toBe('lib/area.ts: untouched is gone, and lib/index.ts:3 uses it');
    p.edit('area.ts', 'function untouched', 'export function untouched');
    p.edit('area.ts', 'export function area', 'function area');
    expect(refusals(p)).toBe('lib/area.ts: area is gone, and lib/box.ts:4 uses it');
    expect(lib.boxArea(2)).toBe(4);
  });
});

describe('files', () => {
  test('that were changed together are swapped together or not at all', () => {
    const p = start({
      'area.ts': area,
      'box.ts': `${box}export let seen = 0;\nexport function see(): void {\n  seen = 1;\n}\n`,
      'alone.ts': `export const one = (): number => 1;\n`,
    });
    const lib = p.use<Functions>();
    p.edit(
      'area.ts',
      'area(w: number, h: number): number {\n  return scale(w * h)',
      'area(size: { w: number }): number {\n  return scale(size.w)',
    );
    p.edit('box.ts', 'area(w, w)', 'area({ w })');
    p.edit('box.ts', 'seen = 0', 'seen = 2');
    p.edit('alone.ts', '=> 1', '=> 2');
    const report = p.reloader.reload();
    expect(report.reloaded.map(({ file }) => file)).toEqual(['lib/alone.ts']);
    expect(report.refused.map(({ file, reason }) => `${file}: ${reason}`).sort()).toEqual([
      'lib/area.ts: changed together with others: lib/box.ts:6: seen is state: what it holds would be lost or no longer fit',
      'lib/box.ts: line 6: seen is state: what it holds would be lost or no longer fit',
    ]);
    expect([lib.boxArea(2), lib.one()]).toEqual([4, 2]);
    p.edit('box.ts', 'seen = 2', 'seen = 0');
    expect(p.reloader.reload().refused).toEqual([]);
    expect(lib.boxArea(2)).toBe(2);
  });

  test('that use each other in a circle are swapped', () => {
    const p = start({
      'even.ts': `import { odd } from './odd';\nexport function even(n: number): boolean {\n  return n === 0 || odd(n - 1);\n}\n`,
      'odd.ts': `import { even } from './even';\nexport function odd(n: number): boolean {\n  return n !== 0 && even(n - 1);\n}\n`,
    });
    p.edit('even.ts', 'n === 0', 'n <= 0');
    p.edit('odd.ts', 'n !== 0', 'n > 0');
    expect(p.reloader.reload().reloaded).toHaveLength(2);
    const { even, odd } = p.use<Record<string, (n: number) => boolean>>();
    expect([even(-3), odd(-3), even(4), odd(4)]).toEqual([true, false, true, false]);
  });

  test('that are not loaded are compiled before a cell imports them', () => {
    const p = start({
      'area.ts': area,
      'lazy.ts': `export const lazy = 1;\n`,
      'index.ts': `export * from './area';\n`,
    });
    expect(p.reloader.beforeCell()).toBeUndefined();
    p.edit('lazy.ts', 'lazy = 1', 'lazy = 2');
    expect(p.reloader.beforeCell()).toBeUndefined();
    expect(p.use<{ lazy: number }>('lazy.ts').lazy).toBe(2);
    expect(p.types).toEqual(['lazy.d.ts']);
    p.edit('lazy.ts', 'lazy = 2', 'lazy = 3');
    p.reloader.reload();
    expect(p.use<{ lazy: number }>('lazy.ts').lazy).toBe(3);
    p.edit('lazy.ts', 'lazy = 3', 'lazy = ');
    expect(p.reloader.beforeCell()?.text).toContain('lib/lazy.ts: does not compile');
  });

  test('of which only types changed are taken over without a word', () => {
    const p = start({ 'area.ts': `export interface Size {\n  w: number;\n}\n${area}` });
    p.edit('area.ts', '  w: number;', '  w: number;\n  h?: number;');
    expect(p.reloader.beforeCell()).toBeUndefined();
    expect(p.types).toEqual(['area.d.ts']);
    expect(fs.readFileSync(p.dist('area.ts').replace('.js', '.d.ts'), 'utf8')).toContain('h?: number');
  });

  test('of the kernel itself, and files that are gone, need a restart', () => {
    const p = start({
      'area.ts': area,
      'notebook/session.ts': `export const run = (): number => 1;\n`,
      'index.ts': `export * from './area';\n`,
    });
    p.use('notebook/session.ts');
    p.edit('notebook/session.ts', '=> 1', '=> 2');
    expect(refusals(p)).toBe('lib/notebook/session.ts: it is part of the running kernel');
    p.edit('notebook/session.ts', '=> 2', '=> 1');
    p.remove('area.ts');
    expect(p.reloader.beforeCell()?.text).toContain('lib/area.ts: was deleted');
    expect(p.reloader.beforeCell()).toBeUndefined();
  });

  test('that were loaded before the recording began need a restart', () => {
    project = new SmallProject({ 'area.ts': area }, { loadFirst: true });
    project.edit('area.ts', 'return x;', 'return 2 * x;');
    expect(refusals(project)).toBe('lib/area.ts: the kernel loaded it for itself before any cell ran');
  });
});

describe('reload()', () => {
  test('asks the kernel, shows what it did, and looks before each cell when told to', async () => {
    const p = start({
      'area.ts': area,
      'box.ts': box,
      'state.ts': `export let a = 0;\nexport function set(): void {\n  a = 1;\n}\n`,
    });
    const lib = p.use<Functions>();
    p.edit('area.ts', 'return x;', 'return 2 * x;');
    const report = await reload({ auto: true });
    expect(report).toMatchObject({ auto: true, reloaded: [{ file: 'lib/area.ts', names: ['scale'] }] });
    const shown = (report as unknown as Record<symbol, () => unknown>)[Symbol.for('Jupyter.display')]();
    expect(shown).toEqual({
      'text/plain': 'Reloaded lib/area.ts (scale)\nFrom now on changes are looked for before each cell.',
    });
    expect(p.reloader.beforeCell()).toBeUndefined();
    p.edit('area.ts', 'return 2 * x;', 'return 3 * x;');
    p.edit('state.ts', 'a = 0', 'a = 5');
    const notice = p.reloader.beforeCell();
    expect(notice?.kind).toBe('reloaded');
    expect(notice?.text).toMatch(
      /^Reloaded lib\/area.ts \(scale\)\nNot reloaded: lib\/state.ts: line 1: a is state/,
    );
    expect(lib.boxArea(2)).toBe(12);
    expect(p.reloader.beforeCell()).toBeUndefined();
    await reload({ auto: false });
    p.edit('area.ts', 'return 3 * x;', 'return 4 * x;');
    expect(p.reloader.beforeCell()?.kind).toBe('changed');
    expect(lib.boxArea(2)).toBe(12);
  });

  test('says where it works', async () => {
    await expect(reload()).rejects.toThrow('reload: works in cells of a notebook');
  });
});
