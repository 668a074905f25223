import { describe, expect, it } from 'vitest';
import { createRandom, hash32 } from '../../lib/tensor/random';

const mask = 0xffffffffn;

/** FNV-1a and MurmurHash3's fmix32, in whole numbers, from their published definitions. */
function referenceHash(text: string): bigint {
  let h = 2166136261n;
  for (const character of Buffer.from(text, 'latin1')) h = ((h ^ BigInt(character)) * 16777619n) & mask;
  h = ((h ^ (h >> 16n)) * 0x85ebca6bn) & mask;
  h = ((h ^ (h >> 13n)) * 0xc2b2ae35n) & mask;
  return h ^ (h >> 16n);
}

/** sfc32 from its definition: state (a, b, c, counter), 12 rounds thrown away. */
function* referenceSfc32(seeds: [bigint, bigint, bigint]): Generator<bigint> {
  let [a, b, c] = seeds;
  let counter = 1n;
  for (let i = 0; ; i++) {
    const result = (a + b + counter) & mask;
    counter = (counter + 1n) & mask;
    a = b ^ (b >> 9n);
    b = (c + (c << 3n)) & mask;
    c = ((((c << 21n) & mask) | (c >> 11n)) + result) & mask;
    if (i >= 12) yield result;
  }
}

describe('hash32', () => {
  it('agrees with a reference in whole numbers', () => {
    for (const text of ['', 'a', 'foobar', '1234567', 'scenes/train/17', 'x'.repeat(1000)]) {
      expect(BigInt(hash32(text)), text).toBe(referenceHash(text));
    }
  });

  it('is the finaliser of the published FNV-1a values', () => {
    // FNV-1a of '', 'a' and 'foobar' are 0x811c9dc5, 0xe40c292c and 0xbf9cf968 by its authors' test suite.
    const fmix32 = (value: number): number => {
      let h = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
      h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
      return (h ^ (h >>> 16)) >>> 0;
    };
    expect(hash32('')).toBe(fmix32(0x811c9dc5));
    expect(hash32('a')).toBe(fmix32(0xe40c292c));
    expect(hash32('foobar')).toBe(fmix32(0xbf9cf968));
  });

  it('spreads the names of a numbered series', () => {
    const buckets = new Array<number>(16).fill(0);
    for (let i = 0; i < 16_000; i++) buckets[hash32(`image-${i}`) >>> 28]++;
    // 1000 expected in each, standard deviation 31
    for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(155);
  });
});

describe('createRandom', () => {
  it('is sfc32, number by number', () => {
    for (const seed of [0, 42, -1.5, 'scenes']) {
      const key = String(seed);
      const reference = referenceSfc32([
        referenceHash(key),
        referenceHash(`${key}#1`),
        referenceHash(`${key}#2`),
      ]);
      const random = createRandom(seed);
      for (let i = 0; i < 1000; i++) {
        const want = Number(reference.next().value) / 2 ** 32;
        expect(random.next(), `seed ${seed}, number ${i}`).toBe(want);
      }
    }
  });

  it('is uniform, without correlation between neighbours', () => {
    const random = createRandom('uniform');
    const n = 100_000;
    const buckets = new Array<number>(100).fill(0);
    let product = 0;
    let before = random.next();
    for (let i = 0; i < n; i++) {
      const x = random.next();
      buckets[Math.floor(x * 100)]++;
      product += (x - 0.5) * (before - 0.5);
      before = x;
    }
    const chiSquare = buckets.reduce((sum, count) => sum + (count - n / 100) ** 2 / (n / 100), 0);
    // 99 degrees of freedom: mean 99, standard deviation 14
    expect(chiSquare).toBeGreaterThan(99 - 5 * 14);
    expect(chiSquare).toBeLessThan(99 + 5 * 14);
    // The correlation of independent numbers has standard deviation 1 / sqrt(n)
    expect(Math.abs((product / n) * 12)).toBeLessThan(5 / Math.sqrt(n));
  });

  it('draws normals of mean 0 and deviation 1, with the tails of a normal', () => {
    const random = createRandom(7);
    const n = 100_000;
    let [sum, squares, beyondTwo] = [0, 0, 0];
    for (let i = 0; i < n; i++) {
      const x = random.normal();
      sum += x;
      squares += x * x;
      if (Math.abs(x) > 2) beyondTwo++;
    }
    expect(Math.abs(sum / n)).toBeLessThan(5 / Math.sqrt(n));
    expect(Math.abs(squares / n - 1)).toBeLessThan((5 * Math.SQRT2) / Math.sqrt(n));
    expect(Math.abs(beyondTwo / n - 0.0455)).toBeLessThan(0.0035);
  });

  it('draws integers from the whole range, and each', () => {
    const random = createRandom(1);
    const seen = new Set<number>();
    for (let i = 0; i < 1000; i++) seen.add(random.integer(6));
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('keeps uniform within its bounds', () => {
    const random = createRandom(2);
    for (let i = 0; i < 1000; i++) {
      const x = random.uniform(-3, 5);
      expect(x >= -3 && x < 5).toBe(true);
    }
  });

  it('shuffles into every order about equally often, and leaves its argument alone', () => {
    const random = createRandom('shuffle');
    const items = ['a', 'b', 'c'];
    const counts = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const order = random.shuffle(items).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(items).toEqual(['a', 'b', 'c']);
    expect(counts.size).toBe(6);
    // 1000 expected, standard deviation 29
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(145);
  });

  it('forks by name: the same again, different by name, and without moving the parent', () => {
    const parent = createRandom(3);
    const a = parent.fork('a').next();
    expect(parent.fork('a').next()).toBe(a);
    expect(parent.fork('b').next()).not.toBe(a);
    expect(parent.next()).toBe(createRandom(3).next());
  });

  it('refuses to pick from nothing', () => {
    expect(() => createRandom(1).pick([])).toThrow(/empty/);
  });
});
