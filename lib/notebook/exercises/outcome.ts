/** What a check cell says about an answer, shown in the notebook and printed where there is none. */
import { displaySymbol, type MimeBundle, type Showable } from '../../plot/display';
import { escapeHtml } from '../../plot/format';

/** `open`: there is no answer yet. */
export type ExerciseState = 'right' | 'wrong' | 'open';

/** How an exercise stands. As a cell's last expression it shows itself; `show()` shows it anywhere else. */
export interface ExerciseOutcome extends Showable {
  /** The exercise's number or name. */
  readonly exercise: number | string;
  readonly state: ExerciseState;
  /** Why it is wrong or what to do next; empty where it is right and nothing is to be said. Never the solution. */
  readonly message: string;
  /** All of it in one line. */
  text(): string;
  html(): string;
  [displaySymbol](): MimeBundle;
}

/** A hint for a certain wrong answer. */
export interface ExerciseHint<T> {
  /** A wrong answer that is known, or a test that tells it; a test that throws does not fit. The first hint that fits is shown. */
  readonly when: T | ((answer: T) => boolean);
  readonly say: string;
}

const looks: Readonly<Record<ExerciseState, { mark: string; words: string; color: string }>> = {
  right: { mark: '✓', words: 'right', color: '46,160,67' },
  wrong: { mark: '✗', words: 'not right yet', color: '218,54,51' },
  open: { mark: '○', words: 'no answer yet', color: '128,128,128' },
};

/** The outcome of an exercise. */
export function exerciseOutcome(
  exercise: number | string,
  state: ExerciseState,
  message: string,
): ExerciseOutcome {
  const { mark, words, color } = looks[state];
  const title = `${typeof exercise === 'number' ? `Exercise ${exercise}` : exercise}: ${words}.`;
  const text = `${mark} ${title}${message === '' ? '' : ` ${message}`}`;
  // Tinted and transparent: it is read on light and on dark pages; the mark and the words tell without the colour.
  const style = `border-left:4px solid rgb(${color});background:rgba(${color},0.12);padding:6px 12px;max-width:720px`;
  const more = message === '' ? '' : ` ${escapeHtml(message)}`;
  const html = `<div style="${style}"><strong>${escapeHtml(`${mark} ${title}`)}</strong>${more}</div>`;
  return {
    exercise,
    state,
    message,
    text: () => text,
    html: () => html,
    [displaySymbol]: () => ({ 'text/html': html, 'text/plain': text }),
  };
}
