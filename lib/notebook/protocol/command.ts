/** `detlab kernel <connection file>`: what Jupyter runs. */
import { parseArguments } from '../runner/arguments';
import { UsageError } from '../runner/select';
import { defaultMessageLimit, type RunningKernel, startKernel } from './kernel';
import { watchParent } from './parent';
import { SocketError } from './sockets';

export const kernelHelp = `Usage: detlab kernel CONNECTION_FILE

Speaks Jupyter's protocol on the sockets that the file names. Jupyter runs this; npm run kernel:install tells it how.

SIGINT stops the running cell, SIGTERM ends the kernel.
Exit code: 0 shut down, 1 a socket could not be opened or the parent process is gone, 2 a mistake in the command or file.`;

/** Runs a kernel until it is shut down. Returns the exit code. */
export async function kernelCommand(words: string[]): Promise<number> {
  const { flags, names } = parseArguments(words, { help: 'flag' });
  if (flags.has('help')) {
    console.log(kernelHelp);
    return 0;
  }
  if (names.length !== 1) {
    throw new UsageError(
      `detlab kernel takes one connection file; got ${names.length === 0 ? 'none' : names.join(' ')}.\n\n${kernelHelp}`,
    );
  }
  let kernel: RunningKernel;
  try {
    const { CellProcess } = await import('../cells/cell-process.js');
    kernel = await startKernel(names[0]!, {
      startCells: (events) => new CellProcess({ cwd: process.cwd(), env: process.env, ...events }),
      messageLimit: messageLimit(),
    });
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    console.error(error.message);
    return 1;
  }
  return serve(kernel);
}

async function serve(kernel: RunningKernel): Promise<number> {
  let code = 0;
  const stop = (): void => void kernel.stop();
  const interrupt = (): void => kernel.interrupt();
  const fault = (error: unknown): void => {
    console.error(error);
    process.exit(1);
  };
  // Whoever read what is said here may have gone; that is no reason to end.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', stop);
  process.on('SIGHUP', stop);
  process.on('uncaughtException', fault);
  process.on('unhandledRejection', fault);
  process.on('exit', () => kernel.abandon());
  watchParent(() => {
    console.error('detlab kernel: the process that started it is gone');
    code = 1;
    stop();
  });
  await kernel.ended;
  // Nothing is left to do; should something still hold the process, it is not waited for.
  setTimeout(() => process.exit(code), 2000).unref();
  return code;
}

function messageLimit(): number {
  const text = process.env.DETLAB_MESSAGE_LIMIT;
  if (text === undefined || text === '') return defaultMessageLimit;
  const megabytes = Number(text);
  if (!(megabytes > 0)) {
    throw new UsageError(`DETLAB_MESSAGE_LIMIT is '${text}'; a number of megabytes above 0 is needed.`);
  }
  return Math.ceil(megabytes * 2 ** 20);
}
