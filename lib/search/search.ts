/** Searching a space of architectures: generation after generation, several candidates side by side. */
import { type Architecture, formatArchitecture } from '../models/architecture';
import {
  type Candidate,
  type EvaluatedCandidate,
  proposeGeneration,
  type ProposeOptions,
} from './candidates';

/** Options of `searchArchitectures`. */
export interface SearchOptions extends ProposeOptions {
  /**
   * How fit a candidate is; the more the better. It may be asked for several at once, and must give the same answer for the same candidate,
   * whatever else it has been asked. A value that is not finite counts as less than any other.
   */
  readonly evaluate: (candidate: Candidate, signal: AbortSignal) => Promise<number>;
  /** Candidates that are evaluated side by side. The search's course does not hang on it. Default 1. */
  readonly jobs?: number;
  /** What an earlier, broken off run of the same search has found: it is not evaluated again. */
  readonly known?: readonly EvaluatedCandidate[];
  /** Called for each candidate once it is evaluated, in the order in which that happens; not for known ones. Waited for. */
  readonly onEvaluated?: (candidate: EvaluatedCandidate) => void | Promise<void>;
  /** Called when all candidates of a generation have been evaluated. */
  readonly onGeneration?: (
    generation: number,
    history: readonly EvaluatedCandidate[],
  ) => void | Promise<void>;
  /** Ends the search: candidates that are being evaluated are given up, what has been found is not lost. */
  readonly signal?: AbortSignal;
}

/** What a search has found. */
export interface SearchResult {
  /** All candidates, by index. */
  readonly history: readonly EvaluatedCandidate[];
  /** The fittest; of equals, the first. */
  readonly best: EvaluatedCandidate;
  /** Whether the space, or what of it is within the limit, was used up before the last generation was full. */
  readonly exhausted: boolean;
}

/**
 * Searches by evolution, or at random (`strategy`). A generation's candidates follow from the seed and from what is known of earlier generations
 * alone, never from which candidate was done first: any number of jobs gives the same search. So a search that was broken off goes on
 * where it was, to the candidate, when it is given what it had found.
 * @throws RangeError where nothing is within the limit, or `known` is of another search; what `evaluate` throws, after the candidates beside it
 *   have been waited for; the signal's reason when it is aborted.
 */
export async function searchArchitectures(options: SearchOptions): Promise<SearchResult> {
  const { settings, limit, known = [], jobs = 1, signal, onGeneration } = options;
  if (!(Number.isInteger(jobs) && jobs >= 1))
    throw new RangeError(`searchArchitectures: jobs is ${jobs}; it must be a whole number above 0`);
  const found = new Map(known.map((one) => [one.index, one]));
  const history: EvaluatedCandidate[] = [];
  let exhausted = false;
  for (let generation = 0; generation < settings.generations && !exhausted; generation++) {
    const candidates = proposeGeneration(options, generation, history);
    exhausted = candidates.length < settings.population;
    if (candidates.length === 0) break;
    for (const candidate of candidates) checkKnown(found.get(candidate.index), candidate, options);
    await evaluateAll(options, candidates, found, jobs);
    history.push(...candidates.map(({ index }) => found.get(index)!));
    await onGeneration?.(generation, history);
    signal?.throwIfAborted();
  }
  if (history.length === 0) {
    throw new RangeError(
      limit
        ? `searchArchitectures: no architecture was found that costs ${limit.most} or less; raise the limit`
        : 'searchArchitectures: the space has no architecture',
    );
  }
  const best = history.reduce((a, b) => (b.fitness > a.fitness ? b : a));
  return { history, best, exhausted };
}

async function evaluateAll(
  { evaluate, onEvaluated, signal }: SearchOptions,
  candidates: readonly Candidate[],
  found: Map<number, EvaluatedCandidate>,
  jobs: number,
): Promise<void> {
  const waiting = candidates.filter(({ index }) => !found.has(index));
  const giveUp = new AbortController();
  const stop = (): void => giveUp.abort(signal?.reason);
  signal?.addEventListener('abort', stop, { once: true });
  const failures: unknown[] = [];
  const work = async (): Promise<void> => {
    while (waiting.length > 0 && failures.length === 0) {
      signal?.throwIfAborted();
      const candidate = waiting.shift()!;
      const value = await evaluate(candidate, giveUp.signal);
      signal?.throwIfAborted();
      const evaluated = { ...candidate, fitness: Number.isFinite(value) ? value : -Infinity };
      found.set(candidate.index, evaluated);
      await onEvaluated?.(evaluated);
    }
  };
  try {
    await Promise.all(
      Array.from({ length: Math.min(jobs, waiting.length) }, () =>
        work().catch((error) => failures.push(error)),
      ),
    );
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  if (failures.length > 0) throw failures[0];
}

/** A known candidate must be the one that this search tries at its place. */
function checkKnown(
  known: EvaluatedCandidate | undefined,
  candidate: Candidate,
  { space }: Pick<SearchOptions, 'space'>,
): void {
  const text = (architecture: Architecture): string => formatArchitecture(architecture, space);
  if (known && text(known.architecture) !== text(candidate.architecture)) {
    throw new RangeError(
      `searchArchitectures: what is known is of another search: its candidate ${candidate.index} is ${text(known.architecture)}, ` +
        `this search's is ${text(candidate.architecture)}; begin anew, or give the seed, space and settings that it had`,
    );
  }
}

/** The best fitness after each evaluation: the curve that searches are compared by. */
export function bestSoFar(history: readonly EvaluatedCandidate[]): number[] {
  let most = -Infinity;
  return history.map(({ fitness }) => (most = Math.max(most, fitness)));
}
