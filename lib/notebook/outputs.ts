/** Turns what cells say while they run into the outputs that a notebook file keeps. */
import type { DisplayDataOutput, ExecuteResultOutput, Output } from './nbformat';
import type { CellMessage } from './session';

/** The form in which long work tells its progress to whoever watches; it is not kept in files. */
export const progressMime: string = 'application/vnd.detlab.progress+json';

/** What the progress form holds. */
export interface CellProgress {
  label: string;
  step: number;
  total: number;
  secondsLeft?: number;
  done?: boolean;
  /** Numbers worth a glance, already as text: loss, images/s. */
  fields?: Record<string, string>;
}

type Shown = DisplayDataOutput | ExecuteResultOutput;

/** The outputs of a notebook's cells. Updates reach every output that was shown with their id, in whichever cell. */
export class OutputCollector {
  private readonly shown: Map<string, Shown[]> = new Map();
  private readonly clearNext: Set<Output[]> = new Set();

  /** Adds a message's output to a cell's outputs. Returns the progress it carried, if any. */
  add(outputs: Output[], message: CellMessage): CellProgress | undefined {
    switch (message.type) {
      case 'clear_output':
        if (message.wait) this.clearNext.add(outputs);
        else outputs.length = 0;
        return undefined;
      case 'stream': {
        this.clearIfAsked(outputs);
        const last = outputs[outputs.length - 1];
        // A file keeps one output per stretch of printing, not one per write.
        if (last?.output_type === 'stream' && last.name === message.name) {
          last.text = overwriteLines(last.text + message.text);
        } else {
          const text = overwriteLines(message.text);
          outputs.push({ output_type: 'stream', name: message.name, text });
        }
        return undefined;
      }
      case 'error': {
        const { ename, evalue, traceback } = message.error;
        outputs.push({ output_type: 'error', ename, evalue, traceback });
        return undefined;
      }
      case 'execute_result':
        this.clearIfAsked(outputs);
        outputs.push({
          output_type: 'execute_result',
          execution_count: message.executionCount,
          data: message.data,
          metadata: message.metadata,
        });
        return undefined;
      default:
        return this.addDisplay(outputs, message);
    }
  }

  private addDisplay(
    outputs: Output[],
    message: Extract<CellMessage, { type: 'display_data' | 'update_display_data' }>,
  ): CellProgress | undefined {
    const { [progressMime]: progress, ...data } = message.data;
    const { displayId, metadata } = message;
    const earlier = displayId === undefined ? [] : (this.shown.get(displayId) ?? []);
    if (message.type === 'update_display_data' && earlier.length > 0) {
      for (const output of earlier) Object.assign(output, { data, metadata });
    } else if (Object.keys(data).length > 0) {
      this.clearIfAsked(outputs);
      const output: Shown = { output_type: 'display_data', data, metadata };
      outputs.push(output);
      if (displayId !== undefined) this.shown.set(displayId, [...earlier, output]);
    }
    return isProgress(progress) ? progress : undefined;
  }

  private clearIfAsked(outputs: Output[]): void {
    if (this.clearNext.delete(outputs)) outputs.length = 0;
  }
}

function isProgress(value: unknown): value is CellProgress {
  const p = value as Partial<CellProgress> | undefined;
  return typeof p === 'object' && p !== null && typeof p.step === 'number' && typeof p.total === 'number';
}

// A terminal's progress bars return to the line's start; what they overwrote need not be kept.
function overwriteLines(text: string): string {
  return text.includes('\r') ? text.replace(/[^\r\n]*\r(?!\n|$)/g, '').replace(/\r\n/g, '\n') : text;
}
