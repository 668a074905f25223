/**
 * Reads JSON files of any size: hands out the elements of some top-level arrays one by one, as their bytes come in. COCO's
 * `instances_train2017.json` is too long for one JavaScript string, and as one value it takes gigabytes.
 */
import fs from 'node:fs/promises';
import { JsonScanner, type JsonStreamOptions } from './json-scanner';

const chunkBytes = 1 << 20;

/**
 * Reads a file.
 * @returns the keys of the file's object, in order; [''] for an array.
 * @throws JsonStreamError where the structure is broken or the file ends too early; what the callbacks throw.
 */
export async function streamJson(file: string, options: JsonStreamOptions): Promise<string[]> {
  const handle = await fs.open(file, 'r');
  try {
    const total = (await handle.stat()).size;
    const scanner = new JsonScanner(options);
    const chunk = Buffer.allocUnsafe(chunkBytes);
    let done = 0;
    let told = Date.now();
    for (;;) {
      const { bytesRead } = await handle.read(chunk, 0, chunkBytes);
      if (bytesRead === 0) break;
      scanner.write(chunk.subarray(0, bytesRead));
      done += bytesRead;
      if (Date.now() - told < 200) continue;
      told = Date.now();
      options.onProgress?.(done, Math.max(done, total));
    }
    return scanner.end();
  } finally {
    await handle.close();
  }
}
