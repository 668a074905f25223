/** What is wrong in a data set's annotations and files: gathered over the whole set, so that it is told at once. */
import type { Box } from '../boxes/types';

/**
 * What becomes of annotations that are wrong. `throw`: one error that lists all of them. `drop`: wrong objects are left out, and
 * images that are missing, broken or of another size than their annotation says. `mend`: boxes that reach out of the image are
 * cut to it, sizes are taken from the image, and what can't be mended is left out.
 */
export type InvalidData = 'throw' | 'drop' | 'mend';

/** What kind of thing a problem is. */
export type ProblemKind =
  | 'box-not-finite'
  | 'box-without-area'
  | 'box-outside'
  | 'box-reaches-out'
  | 'unknown-class'
  | 'missing-image'
  | 'broken-image'
  | 'image-size'
  | 'missing-annotation'
  | 'broken-annotation'
  | 'encoding'
  | 'duplicate';

/** Something odd in an annotation or a file, and what was made of it. */
export interface DatasetProblem {
  readonly kind: ProblemKind;
  /** The annotation file, or the image where that is what can't be read. */
  readonly file: string;
  /** Line in the file, from 1, where it is known. */
  readonly line?: number;
  /** The image's id in the data set, or the object's own in its file (COCO). */
  readonly id?: number | string;
  /** Index of the object in its file or image, from 0; -1 when the whole image is meant. */
  readonly object: number;
  /** The box as the file gives it. */
  readonly box?: Box;
  readonly problem: string;
  /** `dropped`: left out. `clipped`: cut to the image. `corrected`: taken from the image instead. */
  readonly action: 'dropped' | 'clipped' | 'corrected';
}

/** The error that lists everything that is wrong with a data set. */
export class DatasetError extends Error {
  override readonly name: string = 'DatasetError';
  readonly problems: readonly DatasetProblem[];

  constructor(title: string, problems: readonly DatasetProblem[]) {
    const shown = problems.slice(0, mostShown).map(formatProblem);
    const rest = problems.length - shown.length;
    if (rest > 0) shown.push(`and ${rest} more, which the error's "problems" lists`);
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
    super(`${title}: ${count}\n  ${shown.join('\n  ')}\n${advice}`);
    this.problems = problems;
  }
}

const mostShown = 20;
const advice =
  "Correct the files, or read on with invalid: 'drop' (leaves out what is wrong) or 'mend' (cuts boxes to the image, " +
  'takes sizes from the image, leaves out the rest).';

/** `Annotations/a.xml:12: object 3, id 7, box [1, 2, 3, 4]: the box has no area` */
export function formatProblem({ file, line, id, object, box, problem }: DatasetProblem): string {
  const place = line === undefined ? file : `${file}:${line}`;
  const what = [
    object < 0 ? '' : `object ${object}`,
    id === undefined ? '' : `id ${id}`,
    box === undefined ? '' : `box [${box.join(', ')}]`,
  ];
  const subject = what.filter((text) => text !== '').join(', ');
  return `${place}: ${subject === '' ? '' : `${subject}: `}${problem}`;
}

/** Collects problems under one policy. */
export interface DatasetProblemList {
  readonly policy: InvalidData;
  readonly problems: readonly DatasetProblem[];
  /** Something worth telling that stops nobody. */
  note(problem: DatasetProblem): void;
  /** Something that is wrong. */
  report(problem: DatasetProblem): void;
  /** Everything another list has gathered, after what is here. */
  add(other: DatasetProblemList): void;
  /** @throws DatasetError that lists all that is wrong, where the policy is `throw`. */
  throwIfAny(title: string): void;
}

/** An empty list. @throws RangeError when the policy is none. */
export function createDatasetProblems(policy: InvalidData = 'throw'): DatasetProblemList {
  if (policy !== 'throw' && policy !== 'drop' && policy !== 'mend') {
    throw new RangeError(`invalid must be 'throw', 'drop' or 'mend', got '${String(policy as unknown)}'`);
  }
  const problems: DatasetProblem[] = [];
  const wrong: DatasetProblem[] = [];
  const list: DatasetProblemList & { readonly wrong: readonly DatasetProblem[] } = {
    policy,
    problems,
    wrong,
    note: (problem) => void problems.push(problem),
    report(problem) {
      problems.push(problem);
      wrong.push(problem);
    },
    add(other) {
      for (const problem of other.problems) problems.push(problem);
      for (const problem of (other as typeof list).wrong) wrong.push(problem);
    },
    throwIfAny(title) {
      if (policy === 'throw' && wrong.length > 0) throw new DatasetError(title, wrong);
    },
  };
  return list;
}
