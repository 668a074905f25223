/** What the papers' studies have in common: arms and metrics, how a run's loss and detections are kept, and a study on a folder of images. */
import path from 'node:path';
import { finite } from '../evidence/comparisons';
import type { Study, StudyArm, StudyMetric, StudyPoint, StudyRow } from '../evidence/study';
import type { EvaluationLog, StepLog } from '../train/training-log';
import type { DetectorEvaluation } from './evaluation';

/** What every detector's runs are compared by; the tables take them in this order. */
export const detectionMetrics: Readonly<Record<'map' | 'ap' | 'mapUnseen' | 'lastLoss', StudyMetric>> = {
  map: { title: 'mAP at IoU 0.5 (%)', diverged: 0, digits: 1 },
  ap: { title: 'AP, IoU 0.5 to 0.95 (%)', diverged: 0, digits: 1 },
  mapUnseen: { title: 'mAP, unseen drawings and places (%)', diverged: 0, digits: 1 },
  lastLoss: { title: 'Loss over the last fifth', digits: 2 },
};

/** An experiment's arms, which have names of their own, as a study's. */
export function namedArms<Arm extends { readonly name: string }>(arms: readonly Arm[]): StudyArm<Arm>[] {
  return arms.map((arm) => ({ name: arm.name, settings: arm }));
}

/** The arms of several studies, each once: one that two of them need is made once. */
export function eachArmOnce<Arm extends { readonly name: string }>(studies: Iterable<readonly Arm[]>): Arm[] {
  return [...new Map([...studies].flat().map((arm) => [arm.name, arm])).values()];
}

/** A quantity of every step, as a curve. */
export function stepCurve(logs: readonly StepLog[], value: (log: StepLog) => number): StudyPoint[] {
  return logs.map((log) => ({ step: log.step + 1, value: finite(value(log)) }));
}

/** A quantity of every evaluation on the way, as a curve. */
export function evaluationCurve(
  evaluations: readonly EvaluationLog[],
  value: (metrics: EvaluationLog['metrics']) => number,
): StudyPoint[] {
  return evaluations.map(({ step, metrics }) => ({ step, value: finite(value(metrics)) }));
}

/** The values of `detectionMetrics` for a run of so many steps; none of a set that nothing was detected in. */
export function detectionFigures(
  { test, unseen }: { readonly test?: DetectorEvaluation; readonly unseen?: DetectorEvaluation },
  {
    logs,
    steps,
    diverged,
  }: { readonly logs: readonly StepLog[]; readonly steps: number; readonly diverged: boolean },
): Record<keyof typeof detectionMetrics, number | null> {
  const percent = (share: number | undefined): number | null => finite(100 * (share ?? NaN));
  return {
    map: percent(test?.voc.map),
    ap: percent(test?.coco.ap),
    mapUnseen: percent(unseen?.voc.map),
    lastLoss: lastLoss(logs, steps, diverged),
  };
}

/** The mean loss over the last fifth of a run of so many steps; `null` for one that diverged. */
export function lastLoss(logs: readonly StepLog[], steps: number, diverged: boolean): number | null {
  const last = diverged ? [] : logs.slice(-Math.ceil(steps / 5)).map(({ loss }) => loss);
  return finite(last.reduce((sum, loss) => sum + loss, 0) / last.length);
}

/** AP at IoU 0.5 by size and by class, percent. */
export function detectionTables({
  voc,
  coco,
}: Pick<DetectorEvaluation, 'voc' | 'coco'>): Record<'bySize' | 'byClass', StudyRow[]> {
  return {
    bySize: coco.bySize.map(({ name, objects, ap50 }) => ({
      size: name,
      objects,
      ap50: finite(100 * ap50),
    })),
    byClass: voc.perClass.map(({ name, ap }) => ({ class: name, ap: finite(100 * ap) })),
  };
}

/** A study on a folder of images: under a name of its own, and with the folder's in its settings. @param run one run on them. */
export function studyOnFolder<Settings extends object>(
  study: Study<Settings>,
  folder: string,
  { settings = study.settings, run }: Partial<Pick<Study, 'settings'>> & Pick<Study<Settings>, 'run'>,
): Study<Settings> {
  const data = path.basename(path.resolve(folder));
  return {
    ...study,
    name: `${study.name}-on-${data.replace(/[^\w.-]/g, '-')}`,
    title: `${study.title}; on ${data}`,
    settings: (profile) => ({ ...settings(profile), data }),
    run,
    onData: undefined,
  };
}
