/** What a study is: arms that are run with several seeds each, and the claims that their results decide. */
import type { Profile } from '../papers/profile';

/** One variant of what is compared. */
export interface StudyArm<Settings extends object = object> {
  /** Names its files: letters, digits, `.`, `_` and `-`. Do not rename an arm that has results. */
  readonly name: string;
  /** As tables and charts call it; the name unless told. */
  readonly title?: string;
  /** What makes this arm, as plain JSON: results of other settings are stale. */
  readonly settings: Settings;
}

/** A number that runs are compared by. */
export interface StudyMetric {
  /** With its unit, as a table's heading and a chart's axis: "mAP at IoU 0.5". */
  readonly title: string;
  /** What a diverged run counts as: 0 for mAP. Left out where nothing sensible can be said (a gradient's norm); then it has no value. */
  readonly diverged?: number;
  /** Decimals in tables; 3 unless told. */
  readonly digits?: number;
}

/** `arm` is higher (or lower) than `than`, by at least `least`. */
export interface DifferenceComparison {
  readonly kind: 'difference';
  readonly metric: string;
  readonly arm: string;
  readonly than: string;
  readonly direction: 'higher' | 'lower';
  /** The smallest mean difference worth calling one, in the metric's units. */
  readonly least: number;
}

/** Two arms differ by no more than `margin`. */
export interface EqualityComparison {
  readonly kind: 'equality';
  readonly metric: string;
  readonly arm: string;
  readonly than: string;
  /** In the metric's units. */
  readonly margin: number;
}

/** The runs of an arm diverge, or none of them does. */
export interface DivergenceComparison {
  readonly kind: 'divergence';
  readonly arm: string;
  readonly diverges: boolean;
}

/** The difference of `arm` and `than` is higher (or lower) than that of `base`'s arms, by at least `least`: whether it grows from one setting to another. */
export interface InteractionComparison {
  readonly kind: 'interaction';
  readonly metric: string;
  readonly arm: string;
  readonly than: string;
  readonly base: { readonly arm: string; readonly than: string };
  readonly direction: 'higher' | 'lower';
  /** In the metric's units. */
  readonly least: number;
}

/** What of the results speaks for a claim or against it. */
export type ClaimComparison =
  DifferenceComparison | EqualityComparison | InteractionComparison | DivergenceComparison;

/** Something a paper says that the study tries. */
export interface Claim {
  /** Short, and never changed: notebooks find the claim by it. */
  readonly name: string;
  /** One sentence. */
  readonly text: string;
  /** What the paper gives for it: "67.6 → 72.8 mAP at rate 0.001". */
  readonly paper: string;
  /** The claim is shown when all of them are, contradicted when one is. */
  readonly comparisons: readonly ClaimComparison[];
}

/** A point of a curve; `null` is a value that was not finite. */
export interface StudyPoint {
  readonly step: number;
  readonly value: number | null;
}

/** A row of a table of plain values. */
export type StudyRow = Readonly<Record<string, string | number | boolean | null>>;

/** What a run gives. NaN and infinities are kept as `null`: no value. */
export interface StudyResult {
  /** A value for each of the study's metrics; others may be there too. */
  readonly metrics: Readonly<Record<string, number | null>>;
  /** Training broke down. A diverged run is a result, not a failure: return it, don't throw. */
  readonly diverged: boolean;
  /** Over training, such as the loss; the store keeps at most 100 points of each (`thinnedCurve`). */
  readonly curves?: Readonly<Record<string, readonly StudyPoint[]>>;
  /** Whatever else is worth keeping: AP by size and class, parameter counts. */
  readonly tables?: Readonly<Record<string, readonly StudyRow[]>>;
}

/** How far a run is. */
export interface StudyProgress {
  readonly step: number;
  readonly steps: number;
  /** A few words beside it: "loss 2.31". */
  readonly note?: string;
}

/** What a run is given. */
export interface StudyContext {
  readonly seed: number;
  readonly profile: Profile;
  /** An empty folder, or what an earlier try of this very run left there: give it to `trainDetector` as `checkpoint`. It goes when the run is done. */
  readonly folder: string;
  /** Ctrl-C: save and throw. `train` hears of it by itself (it is the interrupt's signal, too). */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: StudyProgress) => void;
  /** A line that somebody should read. */
  readonly onNotice: (line: string) => void;
}

/** A paper's experiment. The backend has been chosen when `run` is called; nothing else here may need one. */
export interface Study<Settings extends object = object> {
  /** Names its folder in data/results. */
  readonly name: string;
  readonly title: string;
  /** The profiles it can be run at. */
  readonly profiles: readonly Profile[];
  /** The metrics of tables, charts and claims, the most important first. */
  readonly metrics: Readonly<Record<string, StudyMetric>>;
  arms(profile: Profile): readonly StudyArm<Settings>[];
  /**
   * Everything besides the arm that fixes what a run computes, as plain JSON: recipe, data set, sizes. Add a number to it that you raise when
   * the code begins to compute something else.
   */
  settings(profile: Profile): object;
  claims(profile: Profile): readonly Claim[];
  /** One run. Everything random in it comes from `context.seed`: arms of the same seed see the same data and are compared pair by pair. */
  run(arm: StudyArm<Settings>, context: StudyContext): Promise<StudyResult>;
  /** The same study on a folder of images of the reader's own, under another name (`--data`). Left out where it has no such thing. */
  onData?(folder: string): Promise<Study<Settings>>;
}

/**
 * A curve of at most `count` points, each the mean over a stretch of steps and at its last step; a stretch with a value that is not finite
 * is `null`.
 */
export function thinnedCurve(points: readonly StudyPoint[], count: number = 100): StudyPoint[] {
  if (!Number.isInteger(count) || count < 1)
    throw new RangeError(`thinnedCurve: count is a whole number from 1, got ${count}`);
  if (points.length <= count) return [...points];
  return Array.from({ length: count }, (_, i) => {
    const part = points.slice(
      Math.floor((i * points.length) / count),
      Math.floor(((i + 1) * points.length) / count),
    );
    const mean = part.reduce((sum, { value }) => sum + (value ?? NaN), 0) / part.length;
    return { step: part[part.length - 1].step, value: Number.isFinite(mean) ? mean : null };
  });
}
