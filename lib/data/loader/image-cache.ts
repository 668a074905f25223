/** Decoded images, kept in memory up to a limit. */
import os from 'node:os';
import type { Sample } from '../transforms/transform';

/**
 * Keeps what comes first, until the limit is reached, and evicts nothing: an epoch visits every image once, so that dropping the
 * least recently used image would drop the one that is needed soonest, and a set larger than the limit would gain next to nothing.
 * This way the share of images that fits is never decoded again.
 */
export class ImageCache {
  private readonly samples = new Map<number, Sample>();
  private used = 0;
  private refused: boolean;

  /** @param limit bytes of pixels, one a value. */
  constructor(private readonly limit: number) {
    this.refused = limit <= 0;
  }

  /** Whether it is worth offering more. */
  get open(): boolean {
    return !this.refused;
  }

  /** Bytes of pixels that it holds. */
  get bytes(): number {
    return this.used;
  }

  get(index: number): Sample | undefined {
    return this.samples.get(index);
  }

  /** The sample as another thread can read it without a copy; it stays so. */
  getShared(index: number): Sample | undefined {
    const sample = this.samples.get(index);
    if (sample === undefined || sample.image.data.buffer instanceof SharedArrayBuffer) return sample;
    const shared = shareSample(sample);
    this.samples.set(index, shared);
    return shared;
  }

  /** Keeps a sample if there is room. */
  add(index: number, sample: Sample): void {
    if (this.refused || this.samples.has(index)) return;
    const bytes = sample.image.data.byteLength;
    if (this.used + bytes > this.limit) {
      this.refused = true;
      return;
    }
    this.samples.set(index, sample);
    this.used += bytes;
  }

  clear(): void {
    this.samples.clear();
    this.used = 0;
    this.refused = this.limit <= 0;
  }
}

/** A copy whose pixels are in shared memory. */
export function shareSample({ image, objects }: Sample): Sample {
  const data = new Uint8Array(new SharedArrayBuffer(image.data.byteLength));
  data.set(image.data);
  return { image: { ...image, data }, objects };
}

/** A quarter of the memory that this process may use, at most 2 GiB. */
export function defaultCacheBytes(): number {
  const allowed = process.constrainedMemory();
  const memory = allowed > 0 ? Math.min(allowed, os.totalmem()) : os.totalmem();
  return Math.min(2 * 2 ** 30, memory / 4);
}
