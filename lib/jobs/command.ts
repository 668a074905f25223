/** `npm run work`: lends this machine to whoever puts work into a queue. */
import { checkedOption, parseArguments, wholeNumber } from '../notebook/runner/arguments';
import { UsageError } from '../notebook/runner/select';
import { parseBackendName } from '../tensor/ladder';
import { prepareBeforeLongWork } from '../tensor/prepare/before-long-work';
import { onInterrupts, withoutEchoes } from '../tensor/signals';
import { checkQueueName } from './queue-job';
import { defaultQueueName } from './queue-options';
import { shownAddress } from './redis';
import { serveJobs } from './serve';

const help: string = `npm run work -- --queue redis://HOST:PORT [options]

Lends this machine to the commands that put work into a queue (npm run evidence -- STUDY --queue redis://HOST:PORT, or openJobs).

  --queue ADDRESS      the Redis that keeps the queue: redis://host:port, rediss:// for TLS,
                       redis://user:password@host:port where it asks for them
  --name NAME          the queue's name (default: ${defaultQueueName})
  --jobs N             so many at a time, each in a thread with a TensorFlow of its own (default: 1)
  --backend NAME       tensorflow, webgpu, wasm or cpu (default: the fastest there is)
  --help               this text

Serves until Ctrl-C, then finishes what it has; Ctrl-C twice gives it back, and another machine takes it. A machine that dies is noticed after
half a minute, and its work is done again elsewhere. All machines need the same commit of detlab. Whoever can write to the queue can have this
machine run any function of any JavaScript file that it has: keep that Redis among friends (a password, TLS, a network of its own).
`;

/** Runs the command. Returns the exit code. */
export async function workCommand(words: string[]): Promise<number> {
  const { flags, values, names } = parseArguments(words, {
    help: 'flag',
    queue: { value: 'redis://localhost:6379' },
    name: { value: defaultQueueName },
    jobs: { value: '2' },
    backend: { value: 'wasm' },
  });
  const redis = values.get('queue');
  if (flags.has('help') || (redis === undefined && words.length === 0)) {
    console.log(help);
    return flags.has('help') ? 0 : 2;
  }
  if (names.length > 0) throw new UsageError(`npm run work takes options only, not ${names.join(' ')}.`);
  if (redis === undefined) throw new UsageError('Which queue? --queue redis://host:port');
  const name = values.get('name') ?? defaultQueueName;
  checkedOption(() => shownAddress('--queue', redis));
  checkedOption(() => checkQueueName('--name', name));
  const jobs = wholeNumber(values, 'jobs');
  const wanted = values.get('backend');
  const backend =
    wanted === undefined ? undefined : checkedOption(() => parseBackendName(wanted, '--backend'));

  if (!(await prepareBeforeLongWork(backend ?? process.env.DETLAB_BACKEND))) return 1;

  const [stop, giveBack] = [new AbortController(), new AbortController()];
  const deafen = onInterrupts(
    withoutEchoes((times) => {
      if (times === 1) {
        console.log('finishing what it has; Ctrl-C again gives it back');
        stop.abort();
      } else if (times === 2) giveBack.abort();
      else process.exit(130);
    }),
  );
  try {
    await serveJobs({ redis, name, jobs, backend, giveBackSignal: giveBack.signal }, stop.signal);
    return 0;
  } catch (error) {
    // Nothing that a stack would explain: no Redis, or a Redis that wants a password.
    console.error((error as Error).message);
    return 1;
  } finally {
    deafen();
  }
}
