/** Moves unpacked files to where they belong, so that what is there never looks more complete than it is. */
import fs from 'node:fs/promises';
import path from 'node:path';

/** Lists and annotations come after the images that they speak of. */
const lastOnes = /^(ImageSets|annotations)$/;

/**
 * Moves all that is in `from` to `to`, on the same disk: folders as a whole where there is none of the name yet, otherwise what is in
 * them. A file that is there with the same size is replaced.
 * @throws Error, before it is touched, where something else has a file's name; what was moved before stays.
 */
export async function putInPlace(from: string, to: string): Promise<void> {
  await fs.mkdir(to, { recursive: true });
  const entries = await fs.readdir(from, { withFileTypes: true });
  const rank = (name: string): number => (lastOnes.test(name) ? 1 : 0);
  entries.sort((a, b) => rank(a.name) - rank(b.name) || (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const source = path.join(from, entry.name);
    const target = path.join(to, entry.name);
    const there = await fs.stat(target).catch(() => undefined);
    if (there !== undefined) {
      if (entry.isDirectory() && there.isDirectory()) {
        await putInPlace(source, target);
        await fs.rmdir(source);
        continue;
      }
      const same = there.isFile() && entry.isFile() && (await fs.stat(source)).size === there.size;
      if (!same) {
        throw new Error(
          `${target} is there already, and is not the published one. Move it away, or choose another folder with --to.`,
        );
      }
    }
    await fs.rename(source, target);
  }
}
