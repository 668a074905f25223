import { describe, expect, test } from 'vitest';
import { type Completeness, completenessOf } from '../../lib/notebook/engine/completeness';
import { loadTslab } from '../../lib/notebook/engine/typescript';

const of = (code: string): Completeness => completenessOf(loadTslab().ts, code);

describe('complete', () => {
  test.each([
    '',
    '  \n',
    'f()',
    'const x = 1',
    'if (x) {\n  y();\n}',
    'await fetch(url)',
    'for await (const x of y) f(x);',
    '// only a comment',
    'a // (',
    '/* ( */ a',
    '`a\n(${b}{`',
    `'('`,
    '/[(]/.test(a)',
    'const f = async',
    'declare function f(): void;',
    'function f(a: string): void;\nfunction f(a: unknown): void {}',
    'class A { f(): void {} }',
    'let {a, b}',
    'import { a } from "b"',
    '<number>x',
  ])('%j', (code) => expect(of(code)).toEqual({ status: 'complete' }));

  test.each(['f(\n\n', 'f(\n  \n', 'f(\n\n  ', 'if (x) {\r\n\r\n', '`a\n\n', 'foo bar\n\n', 'f(\n\n\n\n'])(
    '%j, for its blank lines',
    (code) => expect(of(code)).toEqual({ status: 'complete' }),
  );
});

describe('invalid', () => {
  test.each([
    'const = 3',
    'foo bar',
    ')',
    '}',
    'f(1 2',
    '(]',
    'a b c(',
    `'abc`,
    `f('abc`,
    `import x from 'a`,
    '/abc',
    'const a = 1; }',
    `'a' 'b'`,
    'x = 1e',
    '#',
    'else',
    'const = (',
    `const a = 'b\nc(`,
  ])('%j', (code) => expect(of(code)).toEqual({ status: 'invalid' }));
});

describe('incomplete', () => {
  test.each([
    // Open brackets.
    ['f(', '  '],
    ['f(\n', '  '],
    ['f(1,', '  '],
    ['f( // comment', '  '],
    ['f({', '  '],
    ['f({\n  a: 1,', '  '],
    ['const o = {', '  '],
    ['[1, 2', '  '],
    ['function f() {', '  '],
    ['async () => {\n  await g([', '    '],
    ['function f() {\n  foo(a,\n    b);', '  '],
    ['function f() {\n    const a = 1;', '    '],
    ['  if (x) {', '    '],
    ['class A {\n  f() {\n    return 1;\n  }', '  '],
    ['if (x) { // {', '  '],
    ['x = f(`${a}{`,', '  '],
    ['/** of { */\nfunction f() {', '  '],
    ['switch (x) {', '  '],
    ['switch (x) {\n  case 1:', '    '],
    ['switch (x) {\n  case 1:\n    f();', '    '],
    // The line goes on.
    ['a +', '  '],
    ['const x =', '  '],
    ['const x =\n  a +', '  '],
    ['x =>', '  '],
    ['if (x)', '  '],
    ['if (x) // why', '  '],
    ['if (x) {} else', '  '],
    ['for (;;)', '  '],
    ['function f() {\n  if (x)', '    '],
    ['let x: number |', '  '],
    ['a.', '  '],
    ['await', '  '],
    // A block must follow.
    ['try {}', ''],
    ['do {}', ''],
    ['class A', ''],
    ['function f()', ''],
    ['function f(a: string): void;', ''],
    ['@decorated', ''],
    ['import { a }', ''],
    // Text over several lines.
    ['`abc', ''],
    ['  `abc\n    d', ''],
    ['`abc ${', '  '],
    ['`abc ${f(b', '  '],
    ['/* abc', ''],
    ['f();\n  /* abc', '  '],
    ['/** abc\n * d', ' '],
    [`'abc\\`, ''],
  ])('%j, then %j', (code, indent) => expect(of(code)).toEqual({ status: 'incomplete', indent }));
});
