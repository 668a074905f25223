/** The numbers of DetNAS's search, as released. */
import type { EvolutionSettings } from '../../search/candidates';

/** At most 1000 networks are evaluated: 20 generations of 50, of which 10 are drawn at random. */
export const detNasEvolution: EvolutionSettings = {
  population: 50,
  parents: 10,
  generations: 20,
  mutants: 20,
  mutationProbability: 0.1,
  crossovers: 20,
};

/** The limit of the small space: multiply-adds of the trunk at 224 pixels. Two of the released networks, searched on VOC, are beyond it. */
export const detNasLimit = 300e6;
