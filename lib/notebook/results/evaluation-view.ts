/** What evaluations show as a cell's value. */
import type { CocoResult } from '../../eval/coco/types';
import type { ConfusionMatrix } from '../../eval/confusion-matrix';
import type { ErrorBreakdown } from '../../eval/errors/breakdown';
import type { EvaluationProblem } from '../../eval/problems';
import type { VocResult } from '../../eval/voc';
import type { ShownBundle } from '../../plot/display';
import { formatCount } from '../../plot/format';
import { table, type TableCell } from '../../plot/table';
import { shownTable } from './boxes-view';
import { isPlainObject } from './plain';

const mostClasses = 100;
/** Classes of a confusion matrix: a column each. */
const mostColumns = 20;

/** A table of an evaluation's result; `undefined` for anything else. */
export function evaluationView(value: unknown): ShownBundle | undefined {
  if (!isPlainObject(value)) return undefined;
  if (isVocResult(value)) return vocView(value);
  if (isCocoResult(value)) return cocoView(value);
  if (isErrorBreakdown(value)) return errorsView(value);
  if (isConfusionMatrix(value)) return confusionView(value);
  return undefined;
}

function isVocResult(value: Record<string, unknown>): value is Record<string, unknown> & VocResult {
  return (
    typeof value.map === 'number' &&
    typeof value.iouThreshold === 'number' &&
    Array.isArray(value.perClass) &&
    value.perClass.every((one: { ap?: unknown } | null) => typeof one?.ap === 'number')
  );
}

function vocView({ map, perClass, withoutObjects, iouThreshold, method, problems }: VocResult): ShownBundle {
  const rows = perClass
    .slice(0, mostClasses)
    .map(({ name, ap, positives, truePositives, falsePositives }) => ({
      class: name,
      AP: ap,
      objects: positives,
      'true positives': truePositives,
      'false positives': falsePositives,
    }));
  const left =
    withoutObjects.length > 0
      ? `; ${formatCount(withoutObjects.length, 'class', 'classes')} without objects left out`
      : '';
  const format = (value: TableCell): string => fixed(value) || 'no objects';
  const caption = `mAP ${map.toFixed(3)} (${method}, IoU ${iouThreshold})${left}${classNote(perClass)}${problemNote(problems)}`;
  return shownTable(table(rows, { caption, format: { AP: format } }));
}

function isCocoResult(value: Record<string, unknown>): value is Record<string, unknown> & CocoResult {
  return (
    typeof value.ap50 === 'number' &&
    [value.stats, value.perClass, value.bySize, value.iouThresholds].every(Array.isArray)
  );
}

function cocoView(result: CocoResult): ShownBundle {
  const { ap, bySize, images, iouThresholds: ious, maxDetections, perClass, problems } = result;
  const recall = `AR${maxDetections[maxDetections.length - 1]}`;
  const rows = [
    { name: 'all', objects: bySize[0].objects, ...result },
    ...perClass.slice(0, mostClasses),
  ].map((one) => ({
    class: one.name,
    objects: one.objects,
    AP: one.ap,
    AP50: one.ap50,
    AP75: one.ap75,
    small: one.apSmall,
    medium: one.apMedium,
    large: one.apLarge,
    [recall]: one.ar100,
  }));
  const format = Object.fromEntries(
    Object.keys(rows[0])
      .slice(2)
      .map((column) => [column, fixed]),
  );
  const range = ious.length > 1 ? `${ious[0]} to ${ious[ious.length - 1]}` : `${ious[0]}`;
  const caption = `AP ${ap.toFixed(3)} (COCO, IoU ${range}), ${formatCount(images, 'image')}${classNote(perClass)}${problemNote(problems)}`;
  return shownTable(table(rows, { caption, format }));
}

function isErrorBreakdown(value: Record<string, unknown>): value is Record<string, unknown> & ErrorBreakdown {
  return (
    [value.errors, value.list, value.perClass].every(Array.isArray) &&
    typeof value.backgroundThreshold === 'number'
  );
}

function errorsView(breakdown: ErrorBreakdown): ShownBundle {
  const { ap, iouThreshold, errors, falsePositives, falseNegatives, problems } = breakdown;
  const gain = 'AP gained if mended';
  const rows = [
    ...errors.map(({ type, what, count, apGain }) => ({ error: type, what, count, [gain]: apGain })),
    {
      error: 'all false positives',
      what: 'detections that find nothing',
      count: falsePositives.count,
      [gain]: falsePositives.apGain,
    },
    {
      error: 'all false negatives',
      what: 'objects not found',
      count: falseNegatives.count,
      [gain]: falseNegatives.apGain,
    },
  ];
  const caption = `AP ${ap.toFixed(3)} at IoU ${iouThreshold}, and what it would gain without the errors of one type${problemNote(problems)}`;
  return shownTable(table(rows, { caption, format: { [gain]: fixed } }));
}

function isConfusionMatrix(
  value: Record<string, unknown>,
): value is Record<string, unknown> & ConfusionMatrix {
  return (
    [value.matrix, value.labels, value.shares].every(Array.isArray) &&
    typeof value.scoreThreshold === 'number'
  );
}

/** Rows as arrays: two classes may have one name. */
function confusionView(confusion: ConfusionMatrix): ShownBundle {
  const { labels, matrix, precision, recall, scoreThreshold, iouThreshold, problems } = confusion;
  const background = labels.length - 1;
  const cut = background > mostColumns;
  const shown = [...labels.keys()].filter((label) => label < mostColumns || label === background);
  const rows = shown.map((there) => [labels[there], ...shown.map((found) => matrix[there][found])]);
  const share = (value: number): string => (Number.isFinite(value) ? value.toFixed(3) : 'none');
  const caption =
    `There (rows) and found (columns), score from ${scoreThreshold}, IoU from ${iouThreshold}: ` +
    `precision ${share(precision)}, recall ${share(recall)}` +
    (cut ? `; the first ${mostColumns} of ${background} classes` : '') +
    problemNote(problems);
  return shownTable(
    table(rows, { caption, columns: ['there \\ found', ...shown.map((label) => labels[label])] }),
  );
}

/** Three decimals; nothing where there is no figure. */
function fixed(value: TableCell): string {
  return typeof value === 'number' && Number.isFinite(value) ? value.toFixed(3) : '';
}

function classNote(perClass: readonly unknown[]): string {
  return perClass.length > mostClasses ? `; the first ${mostClasses} of ${perClass.length} classes` : '';
}

function problemNote(problems: readonly EvaluationProblem[] | undefined): string {
  return problems && problems.length > 0 ? `; ${formatCount(problems.length, 'problem')} in the input` : '';
}
