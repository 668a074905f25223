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
