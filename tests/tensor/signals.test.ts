import { afterEach, expect, test, vi } from 'vitest';
import { withoutEchoes } from '../../lib/tensor/signals';

afterEach(() => vi.restoreAllMocks());

test('a signal and its echo are one, a later one is another', () => {
  const clock = vi.spyOn(performance, 'now');
  const heard: [number, string][] = [];
  const listener = withoutEchoes((times, signal: string) => void heard.push([times, signal]));
  const at = (milliseconds: number, signal: string): void => {
    clock.mockReturnValue(milliseconds);
    listener(signal);
  };
  at(5, 'SIGINT');
  at(6, 'SIGINT');
  at(900, 'SIGTERM');
  expect(heard).toEqual([[1, 'SIGINT']]);
  at(1005, 'SIGTERM');
  at(1900, 'SIGINT');
  expect(heard).toEqual([
    [1, 'SIGINT'],
    [2, 'SIGTERM'],
  ]);
});
