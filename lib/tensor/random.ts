/** Seeded random numbers. Everything random in detlab draws from one of these, never from `Math.random`. */

/** A stream of random numbers that a seed fixes: the same seed gives the same numbers on every machine. */
export interface Random {
  /** Uniform in [0, 1), 32 random bits. */
  next(): number;
  /** Uniform in [low, high). */
  uniform(low: number, high: number): number;
  /** Uniform integer in [0, n). */
  integer(n: number): number;
  /** Standard normal (Marsaglia's polar method). */
  normal(): number;
  /** A new array, shuffled (Fisher-Yates). */
  shuffle<T>(items: readonly T[]): T[];
  /** One element, uniformly. Throws on an empty array. */
  pick<T>(items: readonly T[]): T;
  /** An independent stream, fixed by this stream's seed and the name; drawing from it does not move this one. */
  fork(name: string | number): Random;
}

/** Hashes a string to 32 bits (FNV-1a, then MurmurHash3's finaliser, which spreads near-equal names far apart). */
export function hash32(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Draws zeros and shuffles nothing: for networks whose first values don't matter, since others take their place. */
export const zeroRandom: Random = {
  next: () => 0,
  uniform: () => 0,
  integer: () => 0,
  normal: () => 0,
  shuffle: (items) => [...items],
  pick: (items) => items[0],
  fork: () => zeroRandom,
};

/**
 * A stream of random numbers (sfc32 by Chris Doty-Humphrey: small, fast, passes PractRand).
 * @param seed any number or string; streams of different seeds are independent.
 */
export function createRandom(seed: number | string): Random {
  const key = String(seed);
  let a = hash32(key);
  let b = hash32(`${key}#1`);
  let c = hash32(`${key}#2`);
  let counter = 1;
  let spare: number | undefined;

  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    c |= 0;
    return (t >>> 0) / 4294967296;
  };
  for (let i = 0; i < 12; i++) next(); // the generator's own advice: mix the seed before use

  const random: Random = {
    next,
    uniform: (low, high) => low + (high - low) * next(),
    integer: (n) => Math.floor(next() * n),
    normal() {
      if (spare !== undefined) {
        const value = spare;
        spare = undefined;
        return value;
      }
      for (;;) {
        const u = 2 * next() - 1;
        const v = 2 * next() - 1;
        const s = u * u + v * v;
        if (s === 0 || s >= 1) continue;
        const scale = Math.sqrt((-2 * Math.log(s)) / s);
        spare = v * scale;
        return u * scale;
      }
    },
    shuffle(items) {
      const out = [...items];
      for (let i = out.length - 1; i > 0; i--) {
        const j = Math.floor(next() * (i + 1));
        [out[i], out[j]] = [out[j], out[i]];
      }
      return out;
    },
    pick(items) {
      if (items.length === 0) throw new RangeError('pick: the array is empty, there is nothing to pick from');
      return items[Math.floor(next() * items.length)];
    },
    fork: (name) => createRandom(`${key}/${name}`),
  };
  return random;
}
