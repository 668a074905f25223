/** Says how a preparation goes: one line that updates in a terminal, a line now and then elsewhere. */
import { formatBytes } from './tools';

/** Where a preparation stands. */
export interface PrepareProgress {
  stage: 'wait' | 'download' | 'unpack' | 'compile' | 'check';
  /** What is being done, as a reader would say it. */
  text: string;
  /** Bytes done, where the stage has any. */
  bytes?: number;
  /** Bytes in all, where known. */
  total?: number;
  seconds: number;
}

const everySeconds = 10;

/** `downloading TensorFlow 2.21.0: 120 of 262 MB (12 s)` */
export function progressText(progress: PrepareProgress): string {
  const { bytes, total, seconds } = progress;
  const of = total ? ` of ${formatBytes(total)}` : '';
  const done = bytes === undefined ? '' : `: ${formatBytes(bytes)}${of}`;
  return `${progress.text}${done}${seconds >= 1 ? ` (${Math.round(seconds)} s)` : ''}`;
}

/** A sink of progress and of lines, on a stream. */
export interface ProgressPrinter {
  line(text: string): void;
  progress(progress: PrepareProgress): void;
  /** Ends the updating line, if there is one. */
  end(): void;
}

/**
 * @param stream where to write; a terminal gets one updating line.
 * @param log instead of the stream: told whole lines only.
 */
export function progressPrinter(
  stream: NodeJS.WriteStream = process.stderr,
  log?: (line: string) => void,
): ProgressPrinter {
  const live = log === undefined && stream.isTTY === true;
  const write = log ?? ((line: string) => void stream.write(`${line}\n`));
  let open = false;
  let stage = '';
  let told = 0;
  const end = (): void => {
    if (open) stream.write('\n');
    open = false;
  };
  return {
    end,
    line(text) {
      if (open) stream.write('\r\x1b[K');
      open = false;
      write(text);
    },
    progress(progress) {
      const text = progressText(progress);
      if (live) {
        stream.write(`\r\x1b[K${text.slice(0, Math.max(20, (stream.columns || 80) - 1))}`);
        open = true;
        return;
      }
      const now = Date.now();
      const begins = progress.stage !== stage;
      if (!begins && now - told < everySeconds * 1000) return;
      [stage, told] = [progress.stage, now];
      // The first line of a stage says only what begins: there are no numbers worth reading yet.
      write(begins ? progress.text : text);
    },
  };
}
