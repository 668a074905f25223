/** Loops over the channels of rows, a few vectors at a time. */
import type { FunctionWriter, Variable } from './assembler';
import type { Int } from './values';

/**
 * Runs the body for `vectors` times four channels at a time, then for four. The last four may overlap those before them, so the body must
 * not add to what is in memory. At least four channels.
 * @param body gets the offset of the first channel in bytes, and the indices of the vectors of four from there.
 */
export function forChannels(
  f: FunctionWriter,
  channels: Int,
  vectors: number,
  body: (offset: Variable<Int>, vectors: readonly number[]) => void,
): void {
  const offset = f.int(0);
  const end = f.int(channels.shl(2));
  const whole = f.int(end.sub(end.mod(16 * vectors)));
  const indices = Array.from({ length: vectors }, (_, i) => i);
  f.loop((leaveIf) => {
    leaveIf(offset.eq(whole));
    body(offset, indices);
    offset.set(offset.add(16 * vectors));
  });
  f.loop((leaveIf) => {
    leaveIf(offset.ge(end));
    offset.set(offset.min(end.sub(16)));
    body(offset, [0]);
    offset.set(offset.add(16));
  });
}
