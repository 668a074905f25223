/** What tar and zip archives hold, whichever it is. */

/** One entry of an archive, not to be trusted. */
export interface ArchiveEntry {
  /** As the archive has it. */
  readonly name: string;
  readonly type: 'file' | 'folder' | 'link' | 'other';
  /** Bytes of content that the archive promises. */
  readonly size: number;
  /** The content, once, before the next entry is asked for; an entry whose content is not read is passed over. */
  content(): AsyncIterable<Uint8Array>;
}

/** How far an archive is to be trusted. */
export interface ArchiveLimits {
  readonly mostEntries: number;
  /** Bytes that all of it may become, whether they are wanted or not. */
  readonly mostBytes: number;
}

/** An archive that is damaged, or that wants what no data set needs. */
export class ArchiveError extends Error {
  override readonly name: string = 'ArchiveError';
}
