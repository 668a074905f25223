/** DetNAS's third step: the search itself, by evolution or at random, within the limit. */
import type { EvaluatedCandidate } from '../../search/candidates';
import { openSearchLog } from '../../search/search-log';
import { searchArchitectures, type SearchOptions, type SearchResult } from '../../search/search';
import { detNasSpace } from '../../models/backbones/detnas';
import type { DetNasCandidate, DetNasFigures } from './candidates';
import { detNasSearchLimit } from './experiment';
import type { DetNasRecipe } from './recipes';

/** Options of `searchDetNas`. */
export interface SearchDetNasOptions extends Pick<
  SearchOptions,
  'strategy' | 'limit' | 'seed' | 'jobs' | 'onEvaluated' | 'onGeneration' | 'signal'
> {
  readonly recipe: Pick<DetNasRecipe, 'size' | 'limit' | 'evolution'>;
  /** A worker's `run` (`detNasCandidates`), or a pool's, of threads or through a queue. */
  readonly run: (candidate: DetNasCandidate, signal: AbortSignal) => Promise<DetNasFigures> | DetNasFigures;
  /** A file that the search is written down in; a search of the same settings that it holds goes on. */
  readonly log?: string;
}

/**
 * Searches the recipe's space by its evolution. The limit is the recipe's multiply-adds unless another is given, such as a measured latency's; nothing
 * that is beyond it is ever evaluated.
 */
export async function searchDetNas(options: SearchDetNasOptions): Promise<SearchResult> {
  const { recipe, run, log: file, limit = detNasSearchLimit(recipe), onEvaluated, ...rest } = options;
  const space = detNasSpace(recipe.size);
  const { strategy = 'evolution', seed } = rest;
  const log =
    file === undefined
      ? undefined
      : await openSearchLog(file, {
          space,
          search: { settings: recipe.evolution, strategy, seed, most: limit.most },
        });
  try {
    return await searchArchitectures({
      ...rest,
      space,
      settings: recipe.evolution,
      limit,
      known: log?.known,
      evaluate: async ({ architecture }, signal) => (await run({ architecture }, signal)).fitness,
      async onEvaluated(candidate: EvaluatedCandidate) {
        await log?.append(candidate);
        await onEvaluated?.(candidate);
      },
    });
  } finally {
    await log?.close();
  }
}
