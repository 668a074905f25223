/** Which architectures a search tries next: of evolution, and of random search. */
import { type Architecture, checkSpace, formatArchitecture, type SearchSpace } from '../models/architecture';
import { createRandom, type Random } from '../tensor/random';

/** How a candidate came about. */
export type CandidateOrigin = 'random' | 'mutation' | 'crossover';

/** An architecture that a search tries. */
export interface Candidate {
  /** Of all candidates of the search, from 0. */
  readonly index: number;
  readonly generation: number;
  readonly architecture: Architecture;
  readonly origin: CandidateOrigin;
  /** Indices of the candidates that it was made of: one, two, or none. */
  readonly parents: readonly number[];
}

/** A candidate that was tried. */
export interface EvaluatedCandidate extends Candidate {
  /** The more the better. */
  readonly fitness: number;
}

/** Numbers of an evolution; DetNAS's are `detNasEvolution`. */
export interface EvolutionSettings {
  /** Candidates of a generation. */
  readonly population: number;
  /** The best candidates so far, of all generations, that the next one is made of. */
  readonly parents: number;
  readonly generations: number;
  /** Candidates of a generation that are a parent with some blocks drawn again, and with which probability each block is. */
  readonly mutants: number;
  readonly mutationProbability: number;
  /** Candidates that take each block from one of two parents. */
  readonly crossovers: number;
}

/** What may be tried: anything within a limit on some cost. */
export interface SearchLimit {
  /** The cost of an architecture, such as its multiply-adds or its measured seconds. */
  readonly cost: (architecture: Architecture) => number;
  /** Candidates cost no more. */
  readonly most: number;
}

/** What the candidates of a generation follow from. */
export interface ProposeOptions {
  readonly space: SearchSpace;
  readonly settings: EvolutionSettings;
  /** Every generation draws from a stream of its own. */
  readonly seed: number | string;
  readonly limit?: SearchLimit;
  /** `random`: every candidate is drawn at random, as a rival of evolution. Default `evolution`. */
  readonly strategy?: 'evolution' | 'random';
}

/** Draws for one place in the population before it is given up: the space may be used up. */
const drawsAPlace = 1000;
/** Mutation and crossover give up after so many times as many tries as candidates are wanted. */
const triesACandidate = 10;

/**
 * The candidates of the generation after those that were tried; none that was tried before, and none beyond the limit (DetNAS, section 3.4 and
 * the released search):
 *
 * 1. the first generation, and every one of random search: at random, each choice of a block as likely as another;
 * 2. later ones: mutants of the best so far, then crossovers of two of them, then fresh random ones up to the population. Where chance gives too
 *    few new mutants or crossovers, more random ones take their places.
 *
 * The same history and seed give the same candidates. Where the space is used up there are fewer, in the end none.
 * @param history all earlier generations, by index, complete.
 */
export function proposeGeneration(
  { space, settings, seed, limit, strategy = 'evolution' }: ProposeOptions,
  generation: number,
  history: readonly EvaluatedCandidate[],
): Candidate[] {
  checkSpace('proposeGeneration', space);
  checkSettings(settings);
  const key = (architecture: Architecture): string => formatArchitecture(architecture, space);
  const known = new Set(history.map(({ architecture }) => key(architecture)));
  const random = createRandom(`search/${seed}/${strategy}/${generation}`);
  const proposed: Candidate[] = [];
  const add = (architecture: Architecture, origin: CandidateOrigin, parents: readonly number[]): boolean => {
    const name = key(architecture);
    if (known.has(name) || (limit && !(limit.cost(architecture) <= limit.most))) return false;
    known.add(name);
    proposed.push({ index: history.length + proposed.length, generation, architecture, origin, parents });
    return true;
  };
  const draw = (block: number, from: Random): number => from.integer(space.choices[block]);

  const { population, mutants, crossovers, mutationProbability } = settings;
  if (strategy === 'evolution' && history.length > 0) {
    const parents = best(history, settings.parents);
    const mutating = random.fork('mutation');
    breed(mutants, () => {
      const parent = mutating.pick(parents);
      const child = parent.architecture.map((choice, block) =>
        mutating.next() < mutationProbability ? draw(block, mutating) : choice,
      );
      return add(child, 'mutation', [parent.index]);
    });
    const crossing = random.fork('crossover');
    breed(crossovers, () => {
      const pair = [crossing.pick(parents), crossing.pick(parents)];
      const child = space.choices.map((_, block) => pair[crossing.integer(2)].architecture[block]);
      return add(child, 'crossover', [pair[0].index, pair[1].index]);
    });
  }
  const drawing = random.fork('random');
  while (proposed.length < population) {
    let tries = 0;
    while (
      !add(
        space.choices.map((_, block) => draw(block, drawing)),
        'random',
        [],
      )
    ) {
      if (++tries === drawsAPlace) return proposed;
    }
  }
  return proposed;
}

/** Tries until so many have come about, a bounded number of times. */
function breed(wanted: number, attempt: () => boolean): void {
  let made = 0;
  for (let i = 0; i < wanted * triesACandidate && made < wanted; i++) if (attempt()) made++;
}

/** The fittest, the fittest first; of equals, those that were tried first. */
export function best<T extends EvaluatedCandidate>(history: readonly T[], count: number): T[] {
  return [...history].sort((a, b) => b.fitness - a.fitness || a.index - b.index).slice(0, count);
}

function checkSettings(settings: EvolutionSettings): void {
  const { population, parents, generations, mutants, crossovers, mutationProbability } = settings;
  const whole = { population, parents, generations };
  for (const [name, value] of Object.entries(whole)) {
    if (!(Number.isInteger(value) && value >= 1))
      throw new RangeError(`evolution: ${name} is ${value}; it must be a whole number above 0`);
  }
  for (const [name, value] of Object.entries({ mutants, crossovers })) {
    if (!(Number.isInteger(value) && value >= 0))
      throw new RangeError(`evolution: ${name} is ${value}; it must be a whole number from 0`);
  }
  if (mutants + crossovers > population) {
    throw new RangeError(
      `evolution: ${mutants} mutants and ${crossovers} crossovers are more than the population of ${population}`,
    );
  }
  if (!(mutationProbability >= 0 && mutationProbability <= 1))
    throw new RangeError(`evolution: mutationProbability is ${mutationProbability}; it must be from 0 to 1`);
}
