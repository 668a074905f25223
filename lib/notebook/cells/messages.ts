/** What passes between the process that runs cells and the one that asks it to. */
import type { MimeBundle } from '../../plot/display';
import type { CellMessage, Completeness, Completion, ExecuteOptions, ExecuteOutcome } from '../session';

/** Questions and their answers, by name. */
export interface CellCalls {
  execute: { asked: { code: string; options: ExecuteOptions }; answer: ExecuteOutcome };
  complete: { asked: { code: string; position: number }; answer: Completion };
  inspect: { asked: { code: string; position: number }; answer: MimeBundle | undefined };
  isComplete: { asked: { code: string }; answer: Completeness };
  /** Ends the process politely. The answer tells what computed, as far as the library was used. */
  finish: { asked: object; answer: Record<string, string> };
}

export type CellCall = keyof CellCalls;

/** A question; its `id` comes back with everything that it leads to. */
export type CellRequest = { [K in CellCall]: { id: number; call: K } & CellCalls[K]['asked'] }[CellCall];

export type CellReport =
  | { type: 'ready' }
  | { type: 'message'; id: number; message: CellMessage }
  | { type: 'answer'; id: number; value: unknown }
  /** The question could not be answered; a defect of the kernel, not of the cell. */
  | { type: 'failed'; id: number; reason: string };
