/** Which notebooks a command means. */
import fs from 'node:fs';
import path from 'node:path';
import { nearest } from '../../tensor/nearest';

/** What was typed cannot be done; the message is for the person who typed it. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
}

/** The notebooks of a folder, in the order of their names. */
export function listNotebooks(folder: string): string[] {
  let names: string[];
  try {
    names = fs.readdirSync(folder);
  } catch (error) {
    throw new UsageError(`The folder of notebooks can't be read: ${(error as Error).message}`);
  }
  return names
    .filter((name) => name.endsWith('.ipynb') && !name.startsWith('.'))
    .sort()
    .map((name) => path.join(folder, name));
}

/**
 * The notebooks that `wanted` names, by number (`1`, `01`), by the start or a part of their name, or by path; all of the
 * folder's where nothing is named. Each at most once, in the order given.
 * @throws UsageError for a name that fits none, naming the nearest.
 */
export function selectNotebooks(wanted: readonly string[], folder: string): string[] {
  const all = listNotebooks(folder);
  if (wanted.length === 0) {
    if (all.length === 0) throw new UsageError(`There are no notebooks in ${folder}.`);
    return all;
  }
  const chosen = new Set<string>();
  for (const word of wanted) for (const file of matches(word, all)) chosen.add(file);
  return [...chosen];
}

function matches(word: string, all: readonly string[]): string[] {
  if (word.endsWith('.ipynb') && fs.existsSync(word)) return [path.resolve(word)];
  const plain = word.replace(/\.ipynb$/, '').toLowerCase();
  const named = all.map((file) => ({ file, name: path.basename(file, '.ipynb').toLowerCase() }));
  const exact = named.filter(({ name }) => name === plain);
  const byNumber = /^\d+$/.test(plain)
    ? named.filter(({ name }) => Number(/^\d+/.exec(name)?.[0]) === Number(plain))
    : [];
  const byStart = named.filter(
    ({ name }) => name.startsWith(plain) || name.replace(/^\d+-/, '').startsWith(plain),
  );
  const byPart = plain.length >= 3 ? named.filter(({ name }) => name.includes(plain)) : [];
  for (const found of [exact, byNumber, byStart, byPart])
    if (found.length > 0) return found.map(({ file }) => file);

  if (word.endsWith('.ipynb')) throw new UsageError(`There is no file ${path.resolve(word)}.`);
  const names = named.map(({ file }) => path.basename(file, '.ipynb'));
  const near =
    nearest(plain, names) ?? names.find((name) => nearest(plain, [name.replace(/^\d+-/, '')]) !== undefined);
  const hint = near ? ` Did you mean '${near}'?` : '';
  throw new UsageError(
    `There is no notebook '${word}'.${hint} There are: ${names.join(', ') || 'none yet'}.`,
  );
}
