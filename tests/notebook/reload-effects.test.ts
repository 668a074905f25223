/** What hot reload takes for a computation that does nothing else, and what for more. */
import { describe, expect, test } from 'vitest';
import { typescript } from '../../lib/notebook/reload/compile';
import { Effects } from '../../lib/notebook/reload/effects';
import { Library } from '../../lib/notebook/reload/library';
import { findNames } from '../../lib/notebook/reload/names';
import { readUnits } from '../../lib/notebook/reload/units';

const ts = typescript();

const other = `"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.table = exports.limit = void 0;
exports.grow = grow;
exports.register = register;
exports.limit = 3;
exports.table = [{ a: 1 }];
const registered = [];
function grow(x) { return x < exports.limit ? grow(x + 1) : x; }
function register(x) { registered.push(x); return x; }
`;
const head = `"use strict";
const node_path_1 = require("node:path");
const node_fs_1 = require("node:fs");
const other_1 = require("./other");
let count = 0;
const sizes = [1, 2];
class Point { x; constructor(x) { this.x = x; } twice() { return 2 * this.x; } }
class Noisy { constructor() { count++; } }
function local(x) { const out = []; for (let i = 0; i < x; i++) out.push(i); out[0] = 5; return out; }
function counts(x) { count += x; return x; }
function indirectly(x) { return [x].map(counts); }
function fills(list) { list.push(1); return list; }
function sorts(list) { return [...list].sort(); }
function calls(f) { return f(1); }
`;

const texts: Record<string, string> = { '/lib/other.js': other };

function library(main: string): Library {
  const all: Record<string, string> = { ...texts, '/lib/main.js': main };
  const read = Object.fromEntries(Object.keys(all).map((file) => [file, readUnits(ts, file, all[file])]));
  return new Library({
    has: (file) => file in all,
    get: (file) => read[file],
    text: (file) => all[file],
    files: () => Object.keys(all),
  });
}

function isFree(expression: string): boolean {
  const modules = library(`${head}exports.value = ${expression};\n`);
  const unit = modules.modules.get('/lib/main.js')!.byName.get('exports.value')!;
  return new Effects(ts, modules).isFree(unit.initializer!, '/lib/main.js');
}

describe('an initial value', () => {
  test.each([
    '1 + 2 * sizes.length',
    'Array.from({ length: 3 }, (_, i) => i ** 2)',
    'Object.freeze({ a: [1, 2].map(String), b: new Set(["x"]) })',
    'local(3)',
    'sorts(sizes)',
    '(0, node_path_1.join)("a", "b")',
    '(0, other_1.grow)(1)',
    'other_1.table.map((row) => row.a)',
    '[1, 2].map(other_1.grow)',
    'new Point(3).twice',
    'calls((x) => x + 1)',
    '(() => { let n = 0; n += 1; return n; })()',
    'new Float32Array(4).fill(1)',
  ])('only computes: %s', (expression) => {
    expect(isFree(expression)).toBe(true);
  });

  test.each([
    'counts(1)',
    'indirectly(1)',
    'calls(counts)',
    'fills(sizes)',
    'sizes.push(3)',
    'new Noisy()',
    '(0, other_1.register)(1)',
    '[1].map(other_1.register)',
    '(0, node_fs_1.readFileSync)("x")',
    'calls(node_fs_1.rmSync)',
    'count++',
    '(count = 5)',
    'process.on("exit", () => {})',
    'globalThis.something()',
    'Math.max(counts(1), 2)',
    'String.raw`${counts(1)}`',
    'Symbol("own")',
  ])('may do more: %s', (expression) => {
    expect(isFree(expression)).toBe(false);
  });
});

describe('names in a statement', () => {
  const names = (code: string): ReturnType<typeof findNames> => {
    const tree = ts.createSourceFile('/x.js', code, ts.ScriptTarget.ES2022, true, ts.ScriptKind.JS);
    const imports = new Map([['mod_1', './mod']]);
    return findNames(ts, tree.statements[0], { declared: new Set(['a', 'b', 'f', 'mod_1']), imports });
  };
  const reads = (code: string): string[] =>
    names(code).references.map(({ name, from, immediate }) => `${from ?? ''}${name}${immediate ? '!' : ''}`);
  const writes = (code: string): string[] =>
    names(code).writes.map(({ name, counts }) => `${name}${counts ? '+' : ''}`);

  test('are told apart from properties, labels and local names', () => {
    expect(reads('x.a; ({ a: 1 }).b;')).toEqual([]);
    expect(reads('function g(a) { return a + b; }')).toEqual(['b']);
    expect(reads('function g({ c: a = b }) { { const b = 1; a + b; } var f; f(); }')).toEqual(['b']);
    expect(reads('function g() { try { f(); } catch (a) { a; } for (const b of a) b; }')).toEqual(['f', 'a']);
    expect(reads('const c = { a, b: 2 };')).toEqual(['a!']);
    expect(reads('const c = class a { static x = b; y = f; [b]() { a; } };')).toEqual(['b!', 'f', 'b!']);
    expect(reads('const c = (() => a)(() => b);')).toEqual(['a!', 'b']);
    expect(reads('function g() { (0, mod_1.h)(mod_1); }')).toEqual(['mod_1', './modh', 'mod_1', './mod*']);
    expect(reads('exports.c + exports.d;')).toEqual(['exports.c!', 'exports.d!']);
    expect(names('function g() { nobody(typeof maybe); }').free.map(({ name }) => name)).toEqual(['nobody']);
  });

  test('that are written are found, however deep', () => {
    expect(writes('function g() { a = 1; b++; b += 2; b += f; a.x.y = 2; a[0]++; delete b.c; }')).toEqual([
      'a',
      'b+',
      'b+',
      'b',
      'a',
      'a+',
      'b',
    ]);
    expect(writes('function g() { [a, { b }] = f; ({ c: a.d } = f); for (b of f) ; }')).toEqual([
      'a',
      'b',
      'a',
      'b',
    ]);
    expect(writes('function g(a) { a = 1; let b; b.push(1); }')).toEqual([]);
    expect(
      writes('function g() { a.set(1, 2); Object.assign(b, {}); exports.c = 1; mod_1.d.add(1); }'),
    ).toEqual(['a', 'b', 'exports.c', 'd']);
  });
});
