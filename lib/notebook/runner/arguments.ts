/** The command line's words, sorted into options and names, with errors that name the nearest option. */
import { nearest } from '../../tensor/nearest';
import { UsageError } from './select';

/** What an option takes: nothing, or a value that help text calls by this name. */
export type OptionSpecs = Record<string, 'flag' | { value: string }>;

export interface ParsedArguments {
  flags: Set<string>;
  values: Map<string, string>;
  names: string[];
}

/** Sorts `--flag`, `--name value`, `--name=value` and bare words. @throws UsageError on an unknown option or a missing value. */
export function parseArguments(words: readonly string[], specs: OptionSpecs): ParsedArguments {
  const parsed: ParsedArguments = { flags: new Set(), values: new Map(), names: [] };
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === '-h') parsed.flags.add('help');
    else if (!word.startsWith('-') || word === '-') parsed.names.push(word);
    else {
      const equals = word.indexOf('=');
      const name = word.replace(/^--?/, '').replace(/=.*$/s, '');
      const spec = word.startsWith('--') && Object.hasOwn(specs, name) ? specs[name] : undefined;
      if (spec === undefined) {
        const near = nearest(name, Object.keys(specs));
        throw new UsageError(
          `There is no option '${word}'.${near ? ` Did you mean '--${near}'?` : ' --help lists them.'}`,
        );
      }
      if (spec === 'flag') {
        if (equals >= 0) throw new UsageError(`--${name} takes no value.`);
        parsed.flags.add(name);
        continue;
      }
      const value = equals >= 0 ? word.slice(equals + 1) : words[++i];
      if (value === undefined || value === '' || (equals < 0 && value.startsWith('--'))) {
        throw new UsageError(`--${name} needs a value: --${name} ${spec.value}`);
      }
      parsed.values.set(name, value);
    }
  }
  return parsed;
}

/** The number that an option has, `undefined` without the option. @throws UsageError unless it is a whole number from 1. */
export function wholeNumber(values: ReadonlyMap<string, string>, name: string): number | undefined {
  const text = values.get(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new UsageError(`--${name} is a whole number from 1, got ${text}`);
  return value;
}

/** What `read` makes of an option's value. @throws UsageError, with its words, where `read` throws. */
export function checkedOption<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
