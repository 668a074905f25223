/** The course of a search: what is proposed, what is never proposed, and that chance alone decides neither order nor result. */
import { describe, expect, test } from 'vitest';
import {
  best,
  bestSoFar,
  type Candidate,
  createRandom,
  detNasEvolution,
  type EvaluatedCandidate,
  type EvolutionSettings,
  formatArchitecture,
  proposeGeneration,
  type SearchOptions,
  searchArchitectures,
  type SearchSpace,
} from 'detlab';

const space: SearchSpace = { choices: new Array<number>(8).fill(4), stages: [3, 5] };
const settings: EvolutionSettings = {
  population: 10,
  parents: 3,
  generations: 5,
  mutants: 4,
  mutationProbability: 0.2,
  crossovers: 4,
};
/** A fitness with one top: far from the middle of the space, and with a little of everything's own. */
const target = [3, 0, 2, 1, 3, 3, 0, 1];
const fitness = ({ architecture }: Pick<Candidate, 'architecture'>): number =>
  architecture.reduce((sum, choice, i) => sum - Math.abs(choice - target[i]), 0);
const texts = (candidates: readonly Candidate[]): string[] =>
  candidates.map(({ architecture }) => formatArchitecture(architecture, space));
const options: SearchOptions = {
  space,
  settings,
  seed: 1,
  evaluate: (candidate) => Promise.resolve(fitness(candidate)),
};

describe('a generation', () => {
  test('has mutants, crossovers and fresh ones as told, of the best parents of all generations', async () => {
    const long: SearchSpace = { choices: new Array<number>(20).fill(4) };
    const sum = ({ architecture }: Candidate): Promise<number> =>
      Promise.resolve(architecture.reduce((total, choice, i) => total + choice * Math.sin(i), 0));
    const generations = 5;
    const own20 = { ...detNasEvolution, generations };
    const { history } = await searchArchitectures({ space: long, settings: own20, seed: 1, evaluate: sum });
    expect(history).toHaveLength(250);
    history.forEach(({ index }, i) => expect(index).toBe(i));
    for (let generation = 1; generation < generations; generation++) {
      const before = history.filter((one) => one.generation < generation);
      const parents = new Set(best(before, 10).map(({ index }) => index));
      const own = history.filter((one) => one.generation === generation);
      const count = (origin: string): number => own.filter((one) => one.origin === origin).length;
      expect([count('mutation'), count('crossover'), count('random')]).toEqual([20, 20, 10]);
      for (const { origin, parents: of, architecture } of own) {
        expect(of).toHaveLength({ random: 0, mutation: 1, crossover: 2 }[origin]);
        of.forEach((index) => expect(parents.has(index)).toBe(true));
        // A crossover has each block of one of its parents.
        if (origin === 'crossover') {
          architecture.forEach((choice, block) =>
            expect(of.map((index) => history[index].architecture[block])).toContain(choice),
          );
        }
      }
    }
    expect(
      history.filter(({ generation }) => generation === 0).every(({ origin }) => origin === 'random'),
    ).toBe(true);
  });

  test('is filled up at random where parents too much alike have no new children', () => {
    const parent = {
      architecture: space.choices.map(() => 0),
      origin: 'random',
      parents: [],
      fitness: 1,
    } as const;
    const history = [0, 1].map((index) => ({
      ...parent,
      index,
      generation: 0,
      architecture: parent.architecture.map((choice, block) => (block === 0 ? index : choice)),
    }));
    const proposed = proposeGeneration(
      { space, settings: { ...settings, mutationProbability: 0 }, seed: 1 },
      1,
      history,
    );
    expect(proposed.map(({ origin }) => origin)).toEqual(new Array(10).fill('random'));
  });

  test('DetNAS’s: 50 at a time, 20 and 20 and 10, at most 1000 in all', () => {
    const { population, mutants, crossovers, generations } = detNasEvolution;
    expect([population, mutants, crossovers, population - mutants - crossovers]).toEqual([50, 20, 20, 10]);
    expect(population * generations).toBe(1000);
  });

  test('a block of a mutant is drawn again with the stated probability, every choice as likely', () => {
    const long: SearchSpace = { choices: new Array<number>(50).fill(4) };
    const one = { ...settings, population: 200, mutants: 200, crossovers: 0 };
    const parent: EvaluatedCandidate = {
      index: 0,
      generation: 0,
      architecture: long.choices.map((_, i) => i % 4),
      origin: 'random',
      parents: [],
      fitness: 1,
    };
    const children = proposeGeneration({ space: long, settings: one, seed: 3 }, 1, [parent]).filter(
      ({ origin }) => origin === 'mutation',
    );
    expect(children).toHaveLength(200);
    let changed = 0;
    const to = [0, 0, 0, 0];
    for (const { architecture } of children) {
      architecture.forEach((choice, block) => {
        if (choice === parent.architecture[block]) return;
        changed++;
        to[(choice - parent.architecture[block] + 4) % 4]++;
      });
    }
    // 10,000 blocks, 0.2 of them drawn again, of which three quarters change: 1500, standard deviation 36.
    expect(Math.abs(changed - 1500)).toBeLessThan(5 * 36);
    // And to each other choice a third of them: 500, standard deviation 18.
    for (const times of to.slice(1)) expect(Math.abs(times - changed / 3)).toBeLessThan(5 * 19);
  });

  test('random ones are drawn evenly', () => {
    const many = { ...settings, population: 2000, mutants: 0, crossovers: 0 };
    const drawn = proposeGeneration({ space, settings: many, seed: 1 }, 0, []);
    for (let block = 0; block < 8; block++) {
      const counts = [0, 0, 0, 0];
      for (const { architecture } of drawn) counts[architecture[block]]++;
      // Chi-squared with 3 degrees of freedom is above 21 once in ten thousand times.
      const chi = counts.reduce((sum, count) => sum + (count - 500) ** 2 / 500, 0);
      expect(chi).toBeLessThan(21);
    }
  });
});

describe('a search', () => {
  test('tries nothing twice, and nothing beyond the limit', async () => {
    const cost = (architecture: readonly number[]): number => architecture.reduce((sum, one) => sum + one, 0);
    const { history } = await searchArchitectures({ ...options, limit: { cost, most: 10 } });
    expect(new Set(texts(history)).size).toBe(history.length);
    expect(history).toHaveLength(50);
    for (const { architecture } of history) expect(cost(architecture)).toBeLessThanOrEqual(10);
  });

  test('is the same with any number of jobs, however long each candidate takes', async () => {
    const alone = await searchArchitectures(options);
    for (const jobs of [2, 7, 100]) {
      const pauses = createRandom(jobs);
      let running = 0;
      let most = 0;
      const together = await searchArchitectures({
        ...options,
        jobs,
        evaluate: async (candidate) => {
          most = Math.max(most, ++running);
          await new Promise((resolve) => setTimeout(resolve, pauses.uniform(0, 4)));
          running--;
          return fitness(candidate);
        },
      });
      expect(together).toEqual(alone);
      expect(most).toBe(Math.min(jobs, 10));
    }
  });

  test('goes on where it was broken off, to the candidate', async () => {
    const whole = await searchArchitectures(options);
    for (const after of [0, 3, 10, 27, 49]) {
      const known: EvaluatedCandidate[] = [];
      const crash = new Error('the machine is gone');
      await expect(
        searchArchitectures({
          ...options,
          evaluate: (candidate) =>
            known.length === after ? Promise.reject(crash) : Promise.resolve(fitness(candidate)),
          onEvaluated: (candidate) => void known.push(candidate),
        }),
      ).rejects.toBe(crash);
      expect(known).toHaveLength(after);
      let evaluated = 0;
      const rest = await searchArchitectures({
        ...options,
        // As read from a file.
        known: JSON.parse(JSON.stringify(known)) as EvaluatedCandidate[],
        evaluate: (candidate) => {
          evaluated++;
          return Promise.resolve(fitness(candidate));
        },
      });
      expect(rest).toEqual(whole);
      expect(evaluated).toBe(50 - after);
    }
  });

  test('keeps what is done beside a candidate that fails', async () => {
    const done: number[] = [];
    await expect(
      searchArchitectures({
        ...options,
        jobs: 3,
        evaluate: async ({ index, ...candidate }) => {
          if (index === 1) throw new Error('out of memory');
          await new Promise((resolve) => setTimeout(resolve, 5));
          return fitness(candidate);
        },
        onEvaluated: ({ index }) => void done.push(index),
      }),
    ).rejects.toThrow('out of memory');
    expect(done.sort()).toEqual([0, 2]);
  });

  test('can be ended; its evaluations hear of it', async () => {
    const end = new AbortController();
    let heard = false;
    const searching = searchArchitectures({
      ...options,
      signal: end.signal,
      evaluate: ({ index }, signal) =>
        new Promise((resolve, reject) => {
          signal.addEventListener('abort', () => {
            heard = true;
            reject(signal.reason as Error);
          });
          if (index < 4) resolve(1);
          else end.abort(new Error('stopped by hand'));
        }),
    });
    await expect(searching).rejects.toThrow('stopped by hand');
    expect(heard).toBe(true);
  });

  test('refuses what is known of another search', async () => {
    const { history } = await searchArchitectures({ ...options, seed: 2 });
    await expect(searchArchitectures({ ...options, known: history })).rejects.toThrow(
      /of another search: its candidate 0 is/,
    );
  });

  test('ends where the space is used up, and says so', async () => {
    const tiny: SearchSpace = { choices: [2, 2, 2] };
    const { history, exhausted, best: top } = await searchArchitectures({ ...options, space: tiny });
    expect(history).toHaveLength(8);
    expect(exhausted).toBe(true);
    expect(top.fitness).toBe(Math.max(...history.map((one) => one.fitness)));
    const limit = { cost: () => 5, most: 4 };
    await expect(searchArchitectures({ ...options, limit })).rejects.toThrow(
      /costs 4 or less; raise the limit/,
    );
  });

  test('what is not finite is worse than anything', async () => {
    const { best: top, history } = await searchArchitectures({
      ...options,
      evaluate: (candidate) => Promise.resolve(candidate.index === 4 ? fitness(candidate) : NaN),
    });
    expect(top.index).toBe(4);
    expect(history[0].fitness).toBe(-Infinity);
  });

  test('evolution finds more than random search on a fitness that blocks add up to, over ten seeds', async () => {
    const long: SearchSpace = { choices: new Array<number>(20).fill(4) };
    const sum = ({ architecture }: Candidate): Promise<number> =>
      Promise.resolve(architecture.reduce((total, choice, i) => total + (choice === i % 4 ? 1 : 0), 0));
    for (let seed = 1; seed <= 10; seed++) {
      const both = { space: long, settings: detNasEvolution, seed, evaluate: sum };
      const evolved = await searchArchitectures(both);
      const random = await searchArchitectures({ ...both, strategy: 'random' });
      expect(random.history.every(({ origin }) => origin === 'random')).toBe(true);
      expect(random.history).toHaveLength(1000);
      expect(evolved.best.fitness).toBeGreaterThan(random.best.fitness);
      const course = bestSoFar(evolved.history);
      expect(course[999]).toBe(evolved.best.fitness);
      course.forEach((value, i) => expect(value).toBeGreaterThanOrEqual(course[Math.max(0, i - 1)]));
    }
  });

  test.each([
    [{ population: 0 }, /population is 0/],
    [{ mutants: 8 }, /8 mutants and 4 crossovers are more than the population of 10/],
    [{ mutationProbability: 1.5 }, /mutationProbability is 1.5/],
    [{ crossovers: 1.5 }, /crossovers is 1.5/],
  ])('refuses %o', async (wrong, message) => {
    await expect(searchArchitectures({ ...options, settings: { ...settings, ...wrong } })).rejects.toThrow(
      message,
    );
  });
});
