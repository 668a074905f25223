/** Files that are there whole or not at all. */
import fs from 'node:fs/promises';
import path from 'node:path';

let counter = 0;

/**
 * Lets `write` fill a new file beside `file`, puts it on the disk, and only then gives it the name: whoever opens `file`, even
 * after a crash half-way, finds the old content or the new one. Where `write` fails, the old file stays and nothing is left behind.
 * A process that is killed leaves its temporary file, `.NAME.PID-N.tmp`.
 * @throws what `write` throws, and the system's errors (no such folder, disk full).
 */
export async function writeAtomically(
  file: string,
  write: (handle: fs.FileHandle) => Promise<void>,
): Promise<void> {
  const folder = path.dirname(file);
  const temporary = path.join(folder, `.${path.basename(file)}.${process.pid}-${counter++}.tmp`);
  const handle = await fs.open(temporary, 'wx');
  try {
    try {
      await write(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(temporary, file);
  } catch (error) {
    await fs.rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(folder);
}

/** Puts the new name itself on the disk; systems that can't open a folder (Windows) do without. */
async function syncFolder(folder: string): Promise<void> {
  let handle: fs.FileHandle;
  try {
    handle = await fs.open(folder, 'r');
  } catch {
    return;
  }
  try {
    await handle.sync();
  } catch (error) {
    // Some network file systems refuse to sync a folder.
    if (!['EINVAL', 'EPERM', 'ENOTSUP', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
  } finally {
    await handle.close();
  }
}

/** Writes all of `bytes`. */
export async function writeBytes(handle: fs.FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(maximum, bytes.length - done));
    done += bytesWritten;
  }
}

/**
 * Fills `into` from `position` of a file.
 * @throws RangeError where the file ends before.
 */
export async function readBytes(handle: fs.FileHandle, into: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < into.length;) {
    const { bytesRead } = await handle.read(
      into,
      done,
      Math.min(maximum, into.length - done),
      position + done,
    );
    if (bytesRead === 0) {
      throw new RangeError(
        `the file ends at byte ${position + done}, where ${into.length - done} more are to be`,
      );
    }
    done += bytesRead;
  }
}

/** Bytes that Node reads or writes at once: below its limit of 2 GiB. */
const maximum = 2 ** 30;
