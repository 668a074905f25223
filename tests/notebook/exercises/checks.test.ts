/** Checks of exercises: what they say to right, wrong, missing and failing answers, and that they keep the solution to themselves. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { checkAnswer, checkFunction, type ExerciseOutcome, show, tf, useBackend } from 'detlab';
import { shownResult } from '../../../lib/notebook/engine/result';

const failing = (): never => {
  throw new RangeError('no such layer');
};

/** State and message of an answer to exercise 3. */
function check(answer: unknown, expected: unknown, more: object = {}): [string, string] {
  const { state, message } = checkAnswer({ exercise: 3, answer, expected, ...more });
  return [state, message];
}

describe('checkAnswer', () => {
  test.each([
    ['a number', 8732, 8732],
    ['a number within a millionth', 0.1 + 0.2, 0.3],
    ['a number from float32', Math.fround(123.456), 123.456],
    ['NaN, where it is the answer', NaN, NaN],
    ['infinity', Infinity, Infinity],
    ['zero', -0, 0],
    ['a text, capitals and spaces aside', '  Hard   negatives', 'hard negatives'],
    ['a list', [38, 19], [38, 19]],
    ['a typed array', Float32Array.of(0.1, 2), [0.1, 2]],
    ['a nested list', [[1, 2], []], [[1, 2], []]],
    ['an object, with more than was asked', { width: 3, height: 4, area: 12 }, { width: 3, height: 4 }],
    ['a boolean', false, false],
    ['a function that gives it', () => 7, 7],
  ])('takes %s', (_, answer, expected) => {
    expect(check(answer, expected)).toEqual(['right', '']);
  });

  test.each([
    ['another number', 8733, 8732, 'This is another number.'],
    ['a number beyond a millionth', 1.0001e-6, 1e-6, 'This is another number.'],
    ['a number near zero', 1e-12, 0, 'This is another number.'],
    ['a finite number for infinity', 1e300, Infinity, 'This is another number.'],
    ['NaN', 0 / 0, 4, 'This is NaN, which is not a number.'],
    ['a text for a number', '4', 4, 'A number is asked for, this is a text.'],
    ['a number for a text', 4, 'four', 'A text is asked for, this is a number.'],
    ['another text', 'anchors', 'priors', 'This is another text.'],
    ['a number for a list', 4, [4], 'A list is asked for, this is a number.'],
    ['a short list', [1], [1, 2], 'The list has 1 entry: too few.'],
    ['a long list', [1, 2, 3], [1, 2], 'The list has 3 entries: too many.'],
    ['an empty list', [], [5], 'The list has 0 entries: too few.'],
    ['a list with a wrong entry', [1, 3, 3], [1, 2, 3], 'Entry 2 of the list is not right.'],
    ['a list with two', [0, 2, 4], [1, 2, 3], 'Entries 1, 3 of the list are not right.'],
    ['a list of others', [4, 5], [1, 2], 'No entry of the list is right.'],
    ['an object without a key', { a: 1 }, { a: 1, b: 2 }, 'The object has no b.'],
    ['an object with a wrong value', { a: 1, b: 3 }, { a: 1, b: 2 }, 'Of the object, b is not right.'],
    ['the other boolean', true, false, 'This is another value.'],
    ['a number for a boolean', 1, true, 'True or false is asked for, this is a number.'],
    ['a function that gives another', () => 6, 7, 'This is another number.'],
    ['a function that fails', failing, 7, 'It fails: RangeError: no such layer'],
    [
      'a promise',
      Promise.resolve(7),
      7,
      'A number is asked for, this is a promise (is an `await` missing?).',
    ],
  ])('refuses %s', (_, answer, expected, message) => {
    expect(check(answer, expected)).toEqual(['wrong', message]);
  });

  test.each([[undefined], [null], [''], ['  '], [() => undefined]])('waits for an answer: %o', (answer) => {
    expect(check(answer, 7)).toEqual(['open', 'Write one and run this cell again.']);
  });

  test('takes a tolerance in the unit of the answer', () => {
    expect(check(31, 30, { tolerance: 1 })[0]).toBe('right');
    expect(check(31.1, 30, { tolerance: 1 })[0]).toBe('wrong');
    expect(check([9.9, 20], [10, 20], { tolerance: 0.2 })[0]).toBe('right');
    expect(() => check(1, 1, { tolerance: -1 })).toThrow('tolerance is 0 or more, got -1');
    expect(() => check(1, 1, { tolerance: NaN })).toThrow('tolerance is 0 or more, got NaN');
  });

  test('gives the first hint that fits, and only to a wrong answer', () => {
    const hints = [
      { when: (answer: number): boolean => failing() || answer > 0, say: 'This test fails.' },
      { when: 1940, say: 'Each cell has several.' },
      { when: (answer: number): boolean => answer > 8000, say: 'Too many.' },
      { when: (): boolean => true, say: 'Too few.' },
    ];
    expect(check(1940, 8732, { hints })).toEqual(['wrong', 'Each cell has several.']);
    expect(check(9000, 8732, { hints })).toEqual(['wrong', 'Too many.']);
    expect(check(5, 8732, { hints })).toEqual(['wrong', 'Too few.']);
    expect(check(8732, 8732, { hints })).toEqual(['right', '']);
    expect(check(undefined, 8732, { hints })[0]).toBe('open');
  });

  describe('of tensors', () => {
    beforeAll(async () => {
      await useBackend({ backend: 'cpu' });
    });
    afterAll(() => expect(tf.memory().numTensors).toBe(0));

    test('compares the shape with a list, values with a tensor', () => {
      tf.tidy(() => {
        const answer = tf.tensor2d([[1, 2, 3]]);
        expect(check(answer, [1, 3])).toEqual(['right', '']);
        expect(check(answer, [3, 1])).toEqual(['wrong', 'No entry of the list is right.']);
        expect(check(answer, [1, 3, 1])).toEqual(['wrong', 'The list has 2 entries: too few.']);
        expect(check(answer, tf.tensor2d([[1, 2, 3]]))).toEqual(['right', '']);
        expect(check(answer, tf.tensor2d([[1, 2, 4]]))).toEqual([
          'wrong',
          'The shape is right, values are not.',
        ]);
        expect(check(answer, tf.tensor1d([1, 2, 3]))).toEqual([
          'wrong',
          'The shape of the tensor is another.',
        ]);
        expect(check([1, 2, 3], tf.tensor1d([1, 2, 3]))).toEqual([
          'wrong',
          'A tensor is asked for, this is a list.',
        ]);
        expect(check(() => answer.reshape([4]), [4])[0]).toBe('wrong');
      });
    });

    test('tells a disposed one', () => {
      const gone = tf.scalar(1);
      gone.dispose();
      expect(check(gone, [])).toEqual(['wrong', 'The tensor was disposed before it could be looked at.']);
    });
  });
});

describe('checkFunction', () => {
  const area = (answer: unknown): [string, string] => {
    const { state, message } = checkFunction({
      exercise: 'Areas',
      answer: answer as (width: number, height: number) => number,
      cases: [
        { input: [1, 1], expected: 1 },
        { input: [3, 4], expected: 12 },
      ],
      hints: [{ when: (f) => f(2, 5) === 7, say: 'This adds the sides.' }],
    });
    return [state, message];
  };

  test.each([
    ['takes a right one', (w: number, h: number) => w * h, 'right', 'Tried on 2 examples.'],
    ['waits for one', undefined, 'open', 'Write the function and run this cell again.'],
    ['waits for one that is null', null, 'open', 'Write the function and run this cell again.'],
    ['refuses no function', 12, 'wrong', 'A function is asked for, this is a number.'],
    ['names the example', (w: number) => w, 'wrong', 'For (3, 4) it gives 3, which is not right.'],
    ['gives a hint that fits', (w: number, h: number) => w + h, 'wrong', 'This adds the sides.'],
    ['tells that nothing is returned', () => undefined, 'wrong', 'For (1, 1) it returns nothing.'],
    ['tells that it fails', failing, 'wrong', 'For (1, 1) it fails: RangeError: no such layer.'],
    [
      'tells of a promise, which may fail',
      () => Promise.reject(new Error('lost')),
      'wrong',
      'For (1, 1) it returns a promise; write it without `async`.',
    ],
  ])('%s', (_, answer, state, message) => {
    expect(area(answer)).toEqual([state, message]);
  });

  test('hands out copies of lists, so that sorting one spoils nothing', () => {
    const values = [3, 1, 2];
    const { state } = checkFunction({
      exercise: 1,
      answer: (list: number[]) => list.sort((a, b) => a - b),
      cases: [
        { input: [values], expected: [1, 2, 3] },
        { input: [values], expected: [1, 2, 3] },
      ],
    });
    expect([state, values]).toEqual(['right', [3, 1, 2]]);
  });

  test('compares as it is told', () => {
    const run = (answer: (text: string) => string): string =>
      checkFunction({
        exercise: 1,
        answer,
        cases: [{ input: ['a b'], expected: 'b a' }],
        equal: (result, expected) => result.length === expected.length,
      }).state;
    expect([run((text) => text), run(() => '')]).toEqual(['right', 'wrong']);
  });

  test('wants at least one example', () => {
    expect(() => checkFunction({ exercise: 4, answer: () => 1, cases: [] })).toThrow(
      'exercise 4 has no cases',
    );
  });
});

describe('an outcome', () => {
  const outcomes = (): ExerciseOutcome[] =>
    [undefined, 41, 42].map((answer) =>
      checkAnswer({ exercise: 2, answer, expected: 42, hints: [{ when: 41, say: 'One <more>.' }] }),
    );

  test('is a line of text and a box of HTML', async () => {
    const shown = await Promise.all(outcomes().map(shownResult));
    expect(shown.map((one) => one!.bundle['text/plain'])).toEqual([
      '○ Exercise 2: no answer yet. Write one and run this cell again.',
      '✗ Exercise 2: not right yet. One <more>.',
      '✓ Exercise 2: right.',
    ]);
    const html = shown.map((one) => String(one!.bundle['text/html']));
    expect(html[1]).toContain('<strong>✗ Exercise 2: not right yet.</strong> One &lt;more&gt;.');
    expect(new Set(html.map((one) => /rgb\([^)]*\)/.exec(one)![0])).size).toBe(3);
  });

  test('is printed outside a notebook', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    await show(outcomes()[2]);
    expect(log.mock.calls).toEqual([['✓ Exercise 2: right.']]);
    log.mockRestore();
  });

  test('does not hold the solution', async () => {
    const all = [
      ...outcomes().slice(0, 2),
      checkAnswer({ exercise: 1, answer: [1], expected: [42, 42] }),
      checkAnswer({ exercise: 1, answer: { a: 1 }, expected: { a: 42 } }),
      checkFunction({ exercise: 1, answer: () => 7, cases: [{ input: [], expected: 42 }] }),
    ];
    for (const outcome of all) {
      const shown = await shownResult(outcome);
      expect(JSON.stringify([outcome, shown])).not.toContain('42');
    }
  });
});
