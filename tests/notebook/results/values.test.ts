import { describe, expect, test } from 'vitest';
import { displaySymbol, lineChart, table, withMetadata } from 'detlab';
import { plainBundle, shownResult, valueText } from '../../../lib/notebook/engine/result';

async function textOf(value: unknown): Promise<unknown> {
  const shown = await shownResult(value);
  expect(Object.keys(shown!.bundle)).toEqual(['text/plain']);
  return shown!.bundle['text/plain'];
}

describe('what shows itself', () => {
  test('gives its forms, at once or later, and its metadata', async () => {
    const picture = withMetadata(
      { 'image/png': Uint8Array.of(1, 2, 3), 'text/plain': 'dots' },
      { 'image/png': { width: 8 } },
    );
    for (const show of [() => picture, () => Promise.resolve(picture)]) {
      expect(await shownResult({ [displaySymbol]: show })).toEqual({
        bundle: { 'image/png': 'AQID', 'text/plain': 'dots' },
        metadata: { 'image/png': { width: 8 } },
      });
    }
  });

  test('may be a class, an instance, a table or a function, and is called on itself', async () => {
    class Shown {
      static [displaySymbol](): object {
        return { 'text/plain': this.name };
      }
      readonly word: string = 'instance';
      [displaySymbol](): object {
        return { 'text/plain': this.word };
      }
    }
    expect((await shownResult(Shown))?.bundle).toEqual({ 'text/plain': 'Shown' });
    expect((await shownResult(new Shown()))?.bundle).toEqual({ 'text/plain': 'instance' });
    const rows = table([{ a: 1 }]);
    expect((await shownResult(rows))?.bundle).toEqual(rows[displaySymbol]());
  });

  test('has a text form even where it gives none', async () => {
    const shown = await shownResult({ word: 'x', [displaySymbol]: () => ({ 'text/html': '<b>x</b>' }) });
    expect(shown?.bundle['text/html']).toBe('<b>x</b>');
    expect(shown?.bundle['text/plain']).toContain("word: 'x'");
  });

  test('may show nothing', async () => {
    expect(await shownResult({ [displaySymbol]: () => undefined })).toBeUndefined();
    expect(await shownResult({ [displaySymbol]: () => null })).toBeUndefined();
    expect(await shownResult({ [displaySymbol]: () => ({}) })).toEqual({ bundle: {}, metadata: {} });
  });

  test('fails with its own error, and with a word on what a display is', async () => {
    const failing = (error: unknown): object => ({
      [displaySymbol]: () => {
        throw error;
      },
    });
    await expect(shownResult(failing(new RangeError('my own')))).rejects.toThrow(RangeError);
    await expect(shownResult({ [displaySymbol]: () => Promise.reject(new Error('later')) })).rejects.toThrow(
      'later',
    );
    await expect(shownResult({ [displaySymbol]: () => 'text' })).rejects.toThrow(
      /object of MIME types.*got 'text'/,
    );
    await expect(
      shownResult({ [displaySymbol]: () => ({ 'application/json': { big: 1n } }) }),
    ).rejects.toThrow(/application\/json form.*BigInt/);
  });

  test('is copied: what changes later does not change the output', () => {
    const data = { list: [1] };
    const bundle = plainBundle({ 'application/json': data, gone: undefined });
    data.list.push(2);
    expect(bundle).toEqual({ 'application/json': { list: [1] } });
  });
});

describe('a chart', () => {
  test('is shown as by show(), with the size of its picture', async () => {
    const chart = lineChart([{ name: 'loss', y: [1, 0.5] }], { x: 'Step', y: 'Loss' });
    const shown = await shownResult(chart);
    expect(Object.keys(shown!.bundle)).toEqual([
      'application/vnd.vegalite.v5+json',
      'image/png',
      'text/plain',
    ]);
    expect(shown?.bundle['text/plain']).toBe(chart.description);
    expect(shown?.metadata).toEqual({ 'image/png': { width: 600, height: 320 } });
  });

  test('that can not be drawn says why', async () => {
    const schema = 'https://vega.github.io/schema/vega-lite/v5.json';
    await expect(shownResult({ $schema: schema, mark: 'no such mark' })).rejects.toThrow(
      /Vega-Lite|specification/,
    );
  });
});

describe('any other value', () => {
  class Account {
    readonly balance: number = 5;
    get secret(): never {
      throw new Error('not to be read');
    }
  }

  test.each<[string, unknown, string]>([
    ['a number', 0, '0'],
    ['false', false, 'false'],
    ['an empty string', '', "''"],
    ['a bigint', 12n, '12n'],
    ['a symbol', Symbol('s'), 'Symbol(s)'],
    ['a date', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['a function', function half() {}, '[Function: half]'],
    ['a class', class Half extends Map {}, '[class Half extends Map]'],
    ['a map', new Map([['a', { b: 1 }]]), "Map(1) { 'a' => { b: 1 } }"],
    ['a set', new Set([1]), 'Set(1) { 1 }'],
    ['a regular expression', /x/g, '/x/g'],
    ['a typed array', Float32Array.of(1, 2.5), 'Float32Array(2) [ 1, 2.5 ]'],
    ['big integers', BigInt64Array.of(1n), 'BigInt64Array(1) [ 1n ]'],
    ['a promise', { waiting: new Promise(() => {}) }, '{ waiting: Promise { <pending> } }'],
    [
      'an object without prototype',
      Object.assign(Object.create(null), { a: 1 }),
      '[Object: null prototype] { a: 1 }',
    ],
    ['a getter that throws', new Account(), 'Account { balance: 5 }'],
    [
      'a getter of its own',
      Object.defineProperty({}, 'x', { get: () => expect.unreachable(), enumerable: true }),
      '{ x: [Getter] }',
    ],
    [
      'a broken object',
      {
        get length(): never {
          throw new Error('no');
        },
        shape: [1],
      },
      '{ length: [Getter], shape: [ 1 ] }',
    ],
  ])('is text: %s', async (_, value, text) => {
    expect(await textOf(value)).toBe(text);
  });

  test('a function without a name does not get that of the variable that holds it', async () => {
    const named = (value: object): object => Object.defineProperty(value, 'name', { value: 'tsLastExpr' });
    expect(await textOf(named(() => 1))).toBe('[Function (anonymous)]');
    expect(await textOf(named(class extends Map {}))).toBe('[class (anonymous) extends Map]');
  });

  test('shows nothing where there is none', async () => {
    expect(await shownResult(undefined)).toBeUndefined();
    expect(await shownResult(null)).toBeUndefined();
  });

  test('an error is its message, its fields and its cause, without lines of compiled code', async () => {
    const cause = new TypeError('inner');
    const error = Object.assign(new RangeError('too big', { cause }), { code: 'E_BIG' });
    expect(await textOf(error)).toBe(
      "RangeError: too big {\n  code: 'E_BIG',\n  [cause]: TypeError: inner\n}",
    );
    expect(await textOf(new Error('two\nlines'))).toBe('Error: two\nlines');
    expect(await textOf({ error: new Error('in a field') })).toBe('{\n  error: Error: in a field\n}');
    expect(await textOf([new Error('one'), new Error('two')])).toBe('[\n  Error: one,\n  Error: two\n]');
    const settled = await Promise.allSettled([Promise.reject(new Error('no'))]);
    expect(await textOf(settled)).toBe("[\n  {\n    status: 'rejected',\n    reason: Error: no\n  }\n]");
    // What only looks like a call is left alone.
    expect(await textOf(['meet\n    at noon:1:2'])).toBe("[ 'meet\\n    at noon:1:2' ]");
  });

  test('a long string is cut, and so is long text', async () => {
    expect(await textOf('x'.repeat(50_000))).toBe(`'${'x'.repeat(10_000)}'... 40000 more characters`);
    const text = String(await textOf(Array.from({ length: 60 }, () => 'y'.repeat(1000))));
    expect(text.length).toBeLessThan(20_100);
    expect(text).toMatch(/…\n\(4[\d,]+ more characters\)$/);
  });

  test('many parts are cut in each list, so that the end is seen', async () => {
    const nested = (depth: number): unknown =>
      depth === 0 ? 1 : Array.from({ length: 70 }, () => nested(depth - 1));
    const text = String(await textOf(nested(4)));
    expect(text).toContain('... 64 more items');
    expect(text.length).toBeLessThan(20_000);
    const shared: unknown[] = [];
    let level = shared;
    // A few arrays that hold one another many times over: written out there would be 10^12 numbers.
    for (let i = 0; i < 6; i++) level = Array(100).fill(level) as unknown[];
    expect(String(await textOf(level)).length).toBeLessThan(20_000);
    const wide = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`key${i}`, { i }]));
    expect(String(await textOf(wide)).length).toBeLessThan(20_100);
  });

  test('a cycle is marked, and depth ends', async () => {
    const ring: Record<string, unknown> = { name: 'ring' };
    ring.self = ring;
    expect(await textOf(ring)).toBe("<ref *1> { name: 'ring', self: [Circular *1] }");
    let deep: object = { end: true };
    for (let i = 0; i < 10_000; i++) deep = { deep };
    expect(await textOf(deep)).toContain('[Object]');
  });

  test('a proxy is its target, whatever its traps do', async () => {
    const fail = (): never => {
      throw new Error('trap');
    };
    const traps = {
      get: fail,
      has: fail,
      ownKeys: fail,
      getPrototypeOf: fail,
      getOwnPropertyDescriptor: fail,
    };
    expect(await textOf(new Proxy({ a: 1 }, traps))).toBe('{ a: 1 }');
    expect(await textOf(new Proxy([1, 2], traps))).toBe('[ 1, 2 ]');
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(await textOf(proxy)).toBe('<Revoked Proxy>');
    // One that answers everything does not thereby say how it is shown.
    expect(await textOf(new Proxy({ a: 1 }, { get: () => () => ({}) }))).toBe('{ a: 1 }');
    expect(await textOf([new Proxy({ a: 1, b: 2 }, traps), { a: 1, b: 2 }])).toBe(
      '[ { a: 1, b: 2 }, { a: 1, b: 2 } ]',
    );
  });

  test('an inspector that fails is said to have failed', () => {
    const custom = Symbol.for('nodejs.util.inspect.custom');
    const failing = (error: unknown): object => ({
      [custom]: () => {
        throw error;
      },
    });
    expect(valueText(failing(new Error('mine')))).toBe("[object that can't be shown: mine]");
    expect(valueText(failing(Object.create(null)))).toBe(
      "[object that can't be shown: an error without a text]",
    );
  });

  test('an inspector lent to tensors is taken back, also when another one fails', () => {
    class Tensor {
      readonly dataId: object = {};
      readonly isDisposed: boolean = false;
      readonly shape: number[] = [2];
      readonly dtype: string = 'float32';
      readonly size: number = 2;
      dataSync(): Float32Array {
        return new Float32Array(2);
      }
    }
    const custom = Symbol.for('nodejs.util.inspect.custom');
    expect(valueText({ loss: new Tensor() })).toBe('{ loss: Tensor float32 [2] }');
    const failing = {
      [custom]: () => {
        throw new Error('mine');
      },
    };
    expect(valueText([new Tensor(), failing])).toBe("[object that can't be shown: mine]");
    expect(Object.getOwnPropertySymbols(Tensor.prototype)).toEqual([]);
    Object.freeze(Tensor.prototype);
    expect(valueText({ loss: new Tensor() })).toContain('dtype');
  });
});
