/** A search's log: broken off at any byte, the search goes on to the same end. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type Candidate,
  type EvolutionSettings,
  openSearchLog,
  searchArchitectures,
  type SearchResult,
  type SearchSpace,
} from 'detlab';
import { temporaryFolder } from '../data/temporary';

const space: SearchSpace = { choices: [4, 4, 4, 4], stages: [2, 2] };
const settings: EvolutionSettings = {
  population: 6,
  parents: 2,
  generations: 3,
  mutants: 2,
  mutationProbability: 0.3,
  crossovers: 2,
};
const search = { seed: 1, settings };
/** The worst has no finite fitness, as a network that diverged. */
const fitness = ({ architecture }: Candidate): number =>
  architecture[0] === 3 ? NaN : architecture.reduce((sum, choice, i) => sum + choice * 0.1 ** i, 0);

async function run(
  file: string,
  evaluations: number = Infinity,
): Promise<{ asked: number; result?: SearchResult }> {
  const log = await openSearchLog(file, { space, search });
  let asked = 0;
  try {
    const result = await searchArchitectures({
      space,
      settings,
      seed: 1,
      known: log.known,
      evaluate: (candidate) => {
        if (asked === evaluations) return Promise.reject(new Error('broken off'));
        asked++;
        return Promise.resolve(fitness(candidate));
      },
      onEvaluated: (candidate) => log.append(candidate),
    });
    return { asked, result };
  } catch (error) {
    expect((error as Error).message).toBe('broken off');
    return { asked };
  } finally {
    await log.close();
  }
}

describe('a search with a log', () => {
  test('that is broken off after any candidate goes on where it was', async () => {
    const folder = temporaryFolder();
    const whole = await run(path.join(folder, 'whole.jsonl'));
    const all = settings.population * settings.generations;
    expect(whole.asked).toBe(all);
    expect(whole.result!.history.some((candidate) => candidate.fitness === -Infinity)).toBe(true);
    for (let broken = 0; broken <= all; broken += 4) {
      const file = path.join(folder, `${broken}.jsonl`);
      expect((await run(file, broken)).asked).toBe(broken);
      const rest = await run(file);
      expect(rest.asked).toBe(all - broken);
      expect(rest.result).toEqual(whole.result);
    }
  });

  test('whose process died in the middle of a line evaluates that candidate again', async () => {
    const file = path.join(temporaryFolder(), 'search.jsonl');
    const whole = await run(file);
    const bytes = await fs.readFile(file);
    const header = bytes.indexOf('\n') + 1;
    for (const length of [0, 3, header - 1, header, header + 1, bytes.length - 7, bytes.length - 1]) {
      await fs.writeFile(file, bytes.subarray(0, length));
      const rest = await run(file);
      expect(rest.result).toEqual(whole.result);
      expect(await fs.readFile(file)).toEqual(bytes);
    }
  });

  test('does not take another search’s file, and leaves it as it is', async () => {
    const file = path.join(temporaryFolder(), 'search.jsonl');
    await run(file, 3);
    const before = await fs.readFile(file, 'utf8');
    const other = { ...search, seed: 2, settings: { ...settings, parents: 3 } };
    await expect(openSearchLog(file, { space, search: other })).rejects.toThrow(
      /another search: seed was 1 and is 2; settings was .*remove that one/,
    );
    await expect(openSearchLog(file, { space: { choices: [4, 4] }, search })).rejects.toThrow(
      /space was \[4,4,4,4\] and is \[4,4\]/,
    );
    expect(await fs.readFile(file, 'utf8')).toBe(before);
    await fs.writeFile(file, 'a diary\n');
    await expect(openSearchLog(file, { space, search })).rejects.toThrow(/no log of a search/);
    await fs.writeFile(file, 'a diary without an end of line');
    await expect(openSearchLog(file, { space, search })).rejects.toThrow(/no log of a search/);
    expect(await fs.readFile(file, 'utf8')).toBe('a diary without an end of line');
    await fs.writeFile(file, `${before}{"index":-1}\n`);
    await expect(openSearchLog(file, { space, search })).rejects.toThrow(
      /line 5 is no candidate of a search: \{"index":-1\}/,
    );
  });
});
