/** Writing that may fail without ending a run: a full disk must not cost hours of training. */

/** Options of `tolerateDisk`. */
export interface TolerateDiskOptions {
  readonly onNotice: (line: string) => void;
  /** What happens after a failure, for the notice. Default: training goes on. */
  readonly then?: string;
  /** Says nothing, as it was said before. */
  readonly quiet?: boolean;
}

/**
 * Does what the disk may refuse.
 * @param what for the notice: "the checkpoint of step 3"
 * @returns whether it was refused. @throws what is no error of the system's.
 */
export async function tolerateDisk(
  what: string,
  write: () => Promise<void>,
  { onNotice, then = 'training goes on', quiet = false }: TolerateDiskOptions,
): Promise<boolean> {
  try {
    await write();
    return false;
  } catch (error) {
    if (typeof (error as NodeJS.ErrnoException).code !== 'string') throw error;
    if (!quiet) onNotice(`train: ${what} can't be written: ${(error as Error).message}; ${then}`);
    return true;
  }
}
