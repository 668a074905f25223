/** pip, as a program that is asked for little patience and whose complaints are told apart. */
import type { Outcome } from './run';

/** pip's own patience, cut down: an index out of reach is then told in a minute, not in ten. */
export const pipPatience: readonly string[] = ['--retries', '1', '--timeout', '15'];

/** No questions, no bars, no advice: its output is read by a program. */
export const pipPlain: readonly string[] = [
  '--no-input',
  '--disable-pip-version-check',
  '--progress-bar',
  'off',
];

/** Whether the index was reached and did not have what was asked for. */
export function hasNoVersion(outcome: Outcome): boolean {
  return /No matching distribution found|Could not find a version/.test(outcome.output);
}

/** pip says "no matching distribution" too where the index was out of reach; what it says before that tells the two apart. */
export function isNetworkTrouble(outcome: Outcome): boolean {
  const signs =
    /Retrying|NewConnectionError|ConnectTimeout|ReadTimeout|ConnectionError|name resolution|ProxyError|SSLError|Max retries|HTTP error|timed out|IncompleteRead|broken connection/i;
  return signs.test(outcome.output);
}

/** The line of a program's output that most likely says what went wrong. */
export function lastError(outcome: Outcome): string {
  const lines = outcome.output.trim().split('\n');
  const line = lines.filter((text) => /error/i.test(text)).at(-1) ?? lines.at(-1);
  return line?.trim().slice(0, 300) || `it ended with code ${outcome.code}`;
}
