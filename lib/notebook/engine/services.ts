/** The parts of TypeScript's language service that are used here and that its declared types leave out. */
import type * as TypeScript from '@tslab/typescript-for-tslab';
import type { ProgramView } from './compiler';

/** What completion and inspection ask of the engine. */
export interface Language {
  ts: typeof TypeScript;
  /** The folder that relative imports start from. */
  cwd: string;
  /** Has the compiler look at a cell as the next one, without running it. */
  look(code: string): ProgramView;
}

/** A completion's entry together with what it stands for. */
export type Entry = TypeScript.CompletionEntry & { symbol?: TypeScript.Symbol };

interface Services {
  Completions: {
    getCompletionsAtPosition(
      host: object,
      program: TypeScript.Program,
      log: () => void,
      source: TypeScript.SourceFile,
      position: number,
      preferences: TypeScript.UserPreferences,
      triggerCharacter: undefined,
      triggerKind: TypeScript.CompletionTriggerKind,
      cancellation: undefined,
      format: undefined,
      includeSymbol: boolean,
    ): { entries: Entry[] } | undefined;
  };
  SignatureHelp: {
    getSignatureHelpItems(
      program: TypeScript.Program,
      source: TypeScript.SourceFile,
      position: number,
      reason: TypeScript.SignatureHelpTriggerReason | undefined,
      cancellation: object,
    ): TypeScript.SignatureHelpItems | undefined;
  };
  getQuickInfoAtPosition(
    source: TypeScript.SourceFile,
    checker: TypeScript.TypeChecker,
    cancellation: object,
    position: number,
  ): TypeScript.QuickInfo | undefined;
  getTouchingPropertyName(source: TypeScript.SourceFile, position: number): TypeScript.Node;
  findPrecedingToken(position: number, source: TypeScript.SourceFile): TypeScript.Node | undefined;
}

const neverCancelled: object = {
  isCancellationRequested: () => false,
  throwIfCancellationRequested: () => {},
};

// Entries with an insert text are wanted for one case only: `maybe.` becomes `maybe?.name`.
const preferences: TypeScript.UserPreferences = {
  includeCompletionsWithInsertText: true,
  quotePreference: 'single',
};

/** What can be written at a position of the cell. */
export function entriesAt({ ts, program, source, prefixLength }: ProgramView, at: number): Entry[] {
  const { Completions } = ts as unknown as Services;
  const offset = at + prefixLength;
  const kind = ts.CompletionTriggerKind.Invoked;
  const log = (): void => {};
  const none = undefined;
  const found = Completions.getCompletionsAtPosition(
    {},
    program,
    log,
    source,
    offset,
    preferences,
    none,
    kind,
    none,
    none,
    true,
  );
  return found?.entries ?? [];
}

/** The signatures of the call whose parentheses a position of the cell lies in. */
export function signaturesAt(
  { ts, program, source, prefixLength }: ProgramView,
  at: number,
): TypeScript.SignatureHelpItems | undefined {
  const { SignatureHelp } = ts as unknown as Services;
  return SignatureHelp.getSignatureHelpItems(program, source, at + prefixLength, undefined, neverCancelled);
}

/** What is known about the name at, or ending at, a position of the cell. */
export function quickInfoAt(
  { ts, program, source, prefixLength }: ProgramView,
  at: number,
): TypeScript.QuickInfo | undefined {
  const services = ts as unknown as Services;
  const checker = program.getTypeChecker();
  return services.getQuickInfoAtPosition(source, checker, neverCancelled, at + prefixLength);
}

/** The node of the name at, or ending at, a position of the cell; else whatever token is there. */
export function nameAt({ ts, source, prefixLength }: ProgramView, at: number): TypeScript.Node {
  return (ts as unknown as Services).getTouchingPropertyName(source, at + prefixLength);
}

/** The string literal, closed or not, that an offset of a source lies in. */
export function stringAt(
  ts: typeof TypeScript,
  source: TypeScript.SourceFile,
  offset: number,
): TypeScript.StringLiteralLike | undefined {
  const token = (ts as unknown as Services).findPrecedingToken(offset, source);
  if (!token || !ts.isStringLiteralLike(token) || token.getStart(source) >= offset) return undefined;
  return offset < token.end || (offset === token.end && isOpen(token)) ? token : undefined;
}

/** Whether a string's closing quote is missing. */
export function isOpen(literal: TypeScript.StringLiteralLike): boolean {
  return (literal as { isUnterminated?: boolean }).isUnterminated === true;
}

/** The cell's part of the source. */
export function cellOf({ source, prefixLength }: ProgramView): string {
  return source.text.slice(prefixLength);
}

/** A position inside a text of that length: the nearer end for one outside, the end for what is no number. */
export function clamp(position: number, length: number): number {
  return Number.isNaN(position) ? length : Math.min(Math.max(0, Math.trunc(position)), length);
}
