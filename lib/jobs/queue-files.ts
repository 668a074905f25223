/** Files that travel through Redis: stored once, under the hash of their bytes, and fetched by whoever lacks them. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import path from 'node:path';
import type { Redis } from 'ioredis';
import { makeFolders } from '../tensor/folders';
import { writeAtomically } from '../weights/atomic-file';
import { type QueuedFile, redisNames } from './queue-job';

/** Redis keeps at most 512 MB under one name, and answers nobody else while it hands out one. */
const pieceBytes = 8 * 2 ** 20;
/** How long Redis keeps a file that nobody asks for, seconds. A leader that is open says every now and then that it is wanted. */
const keptSeconds = 2 * 24 * 3600;

/** Puts a file in Redis unless it is there. */
export async function sendFile(redis: Redis, file: string): Promise<QueuedFile> {
  const { sha256, bytes } = await hashFile(file);
  const name = redisNames.file(sha256);
  if (await keepFile(redis, { sha256, bytes })) return { sha256, bytes };
  const handle = await fsp.open(file, 'r');
  try {
    for (let piece = 0; piece * pieceBytes < bytes; piece++) {
      const buffer = Buffer.alloc(Math.min(pieceBytes, bytes - piece * pieceBytes));
      await handle.read(buffer, 0, buffer.length, piece * pieceBytes);
      await redis.set(`${name}:${piece}`, buffer, 'EX', keptSeconds);
    }
  } finally {
    await handle.close();
  }
  // Last: who finds it finds all of the file.
  await redis.set(name, String(bytes), 'EX', keptSeconds);
  return { sha256, bytes };
}

/** Has Redis keep a file for longer. Returns whether all of it is there. */
export async function keepFile(redis: Redis, { sha256, bytes }: QueuedFile): Promise<boolean> {
  const name = redisNames.file(sha256);
  const names = [name, ...piecesOf(bytes).map((piece) => `${name}:${piece}`)];
  const kept = await Promise.all(names.map((one) => redis.expire(one, keptSeconds)));
  return kept.every((one) => one === 1);
}

/**
 * The path of a file in `folder`, fetched unless it is there.
 * @throws an Error where Redis has not got it, or gives other bytes.
 */
export async function fetchFile(redis: Redis, wanted: QueuedFile, folder: string): Promise<string> {
  const { sha256, bytes } = wanted;
  const target = path.join(folder, sha256);
  // It has this name only once it is whole (see below).
  if (fs.existsSync(target) && fs.statSync(target).size === bytes) return target;
  makeFolders(folder);
  const hash = createHash('sha256');
  await writeAtomically(target, async (handle) => {
    for (const piece of piecesOf(bytes)) {
      const buffer = await redis.getBuffer(`${redisNames.file(sha256)}:${piece}`);
      if (!buffer) throw new Error(`the queue has not got the file ${sha256} (${bytes} bytes) any more`);
      hash.update(buffer);
      await handle.write(buffer);
    }
    const got = hash.digest('hex');
    if (got !== sha256) throw new Error(`the file ${sha256} came out of the queue with other bytes (${got})`);
  });
  return target;
}

function piecesOf(bytes: number): number[] {
  return Array.from({ length: Math.ceil(bytes / pieceBytes) }, (_, piece) => piece);
}

async function hashFile(file: string): Promise<QueuedFile> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of fs.createReadStream(file)) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
  }
  return { sha256: hash.digest('hex'), bytes };
}
