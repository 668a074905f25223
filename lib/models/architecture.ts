/** Architectures of a search space of blocks: which choice each block takes. */

/** The choice of every block, in the order in which the network runs them: whole numbers from 0. */
export type Architecture = readonly number[];

/** A space of architectures: how many choices each block has. */
export interface SearchSpace {
  /** Of each block, at least 1. */
  readonly choices: readonly number[];
  /** Blocks of each stage, for writing architectures down. Default: one stage. */
  readonly stages?: readonly number[];
}

/** How many architectures there are: exact, as a large number may be more than a double holds. */
export function spaceSize({ choices }: SearchSpace): bigint {
  return choices.reduce((product, count) => product * BigInt(count), 1n);
}

/** As the releases write them: `2120 2112 33130031 3132`, a digit a block, stages apart; above ten choices with commas between blocks. */
export function formatArchitecture(architecture: Architecture, space: SearchSpace): string {
  checkArchitecture('formatArchitecture', architecture, space);
  const { choices, stages = [choices.length] } = space;
  const digits = choices.every((count) => count <= 10);
  let at = 0;
  return stages.map((blocks) => architecture.slice(at, (at += blocks)).join(digits ? '' : ',')).join(' ');
}

/**
 * Reads what `formatArchitecture` writes; spaces may stand anywhere, commas too.
 * @throws RangeError on something else than the space's choices.
 */
export function parseArchitecture(text: string, space: SearchSpace): number[] {
  const digits = space.choices.every((count) => count <= 10);
  const parts = digits ? [...text.replace(/[\s,]/g, '')] : text.split(/[\s,]+/).filter((part) => part !== '');
  const architecture = parts.map((part) => (/^\d+$/.test(part) ? Number(part) : NaN));
  checkArchitecture(`parseArchitecture: '${text}'`, architecture, space);
  return architecture;
}

/** @throws RangeError on an architecture that the space does not have, naming the block. */
export function checkArchitecture(where: string, architecture: Architecture, space: SearchSpace): void {
  const { choices } = space;
  if (architecture.length !== choices.length) {
    throw new RangeError(
      `${where}: the architecture has ${architecture.length} blocks; the space has ${choices.length}`,
    );
  }
  const wrong = architecture.findIndex(
    (choice, block) => !(Number.isInteger(choice) && choice >= 0 && choice < choices[block]),
  );
  if (wrong >= 0) {
    throw new RangeError(
      `${where}: block ${wrong} has choice ${architecture[wrong]}; it has choices 0 to ${choices[wrong] - 1}`,
    );
  }
}

/** @throws RangeError on a space that is none. */
export function checkSpace(where: string, space: SearchSpace): void {
  const { choices, stages = [choices.length] } = space;
  const wrong = choices.findIndex((count) => !(Number.isInteger(count) && count >= 1));
  if (choices.length === 0 || wrong >= 0) {
    const what = choices.length === 0 ? 'no blocks' : `block ${wrong} with ${choices[wrong]} choices`;
    throw new RangeError(`${where}: the space has ${what}; every block needs at least one choice`);
  }
  const total = stages.reduce((sum, blocks) => sum + blocks, 0);
  if (total !== choices.length) {
    throw new RangeError(
      `${where}: the stages have ${total} blocks together; the space has ${choices.length}`,
    );
  }
}
