/** The data sets that can be had by name: where they are, how to know them, and what they hold. */

/** An archive of a data set, as its publisher offers it. */
export interface KnownArchive {
  /** The file's name, under which mirrors have it, too. */
  readonly file: string;
  /** The official address. */
  readonly url: string;
  readonly size: number;
  readonly sha256: string;
  /** Bytes that it becomes, roughly, of what is kept. */
  readonly unpacked: number;
  /** Splits that need it. */
  readonly splits: readonly string[];
  /** Files or folders whose presence shows that it was unpacked, by split; the last that are put in their place. */
  readonly marks: Readonly<Record<string, string>>;
  /** Whether a file of it is kept. Default: every one. */
  readonly keeps?: (name: string, splits: readonly string[]) => boolean;
}

/** A data set that can be had by name. */
export interface KnownDataset {
  readonly name: string;
  readonly title: string;
  readonly page: string;
  /** Who may use it for what, in a sentence. */
  readonly terms: string;
  readonly archives: readonly KnownArchive[];
  /** Images in each split, and objects with the difficult ones and the crowds, as published. */
  readonly splits: Readonly<Record<string, { readonly images: number; readonly objects: number }>>;
  /** Where in the folder the readers find it. */
  readonly root: string;
  /** Class names in the order of their labels, where the format has none of its own. */
  readonly classes?: readonly string[];
}
