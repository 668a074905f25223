/** Detections and annotated objects as tables. */
import type { Detection, GroundTruth } from '../../boxes/types';
import { displaySymbol, type ShownBundle } from '../../plot/display';
import { formatCount } from '../../plot/format';
import { type Table, table, type TableCell } from '../../plot/table';
import { isListOf, isNumbers, isPlainObject } from './plain';

const mostRows = 20;

/** A box of either kind, its class by id or by name. */
interface BoxRow {
  readonly image?: number;
  readonly label: number | string;
  readonly score?: number;
  readonly box: ArrayLike<number>;
  readonly notes?: string;
}

/**
 * A table of detections (highest score first) or of annotated objects: of one image, of a list of images, or in parallel arrays
 * `{ boxes, scores, labels }`. `undefined` for anything else.
 */
export function boxesView(value: unknown): ShownBundle | undefined {
  const found = isListOf(value, isBox)
    ? value.map((item) => toRow(item))
    : isListOf(value, isImageOfBoxes)
      ? value.flatMap((items, image) => surestFirst(items.map((item) => toRow(item, image))))
      : parallelRows(value);
  if (found === undefined || found.length === 0) return undefined;
  const kind = found.some(({ score }) => score !== undefined) ? 'detection' : 'object';
  const what = formatCount(found.length, kind);
  if (found[0].image === undefined) {
    const cut = found.length > mostRows ? `; the ${kind === 'object' ? 'first' : 'surest'} ${mostRows}` : '';
    return shownTable(boxTable(surestFirst(found).slice(0, mostRows), what + cut));
  }
  const images = (value as unknown[]).length;
  const each = Math.max(1, Math.floor(mostRows / images));
  const shown = found.length > mostRows ? fairShare(found, each) : found;
  const cut = found.length > shown.length ? `; ${each} at most of each are shown` : '';
  return shownTable(boxTable(shown, `${what} in ${formatCount(images, 'image')}${cut}`));
}

/** A table's bundle. */
export function shownTable(shown: Table): ShownBundle {
  return { bundle: shown[displaySymbol](), metadata: {} };
}

const boxKeys = new Set(['box', 'label', 'score', 'difficult', 'truncated', 'crowd']);

/** An object with more keys than a box has is its author's own, and shown whole. */
function isBox(value: unknown): value is Detection | GroundTruth {
  if (!isPlainObject(value) || !Object.keys(value).every((key) => boxKeys.has(key))) return false;
  const { box, label, score } = value;
  return (
    isNumbers(box) &&
    box.length === 4 &&
    typeof label === 'number' &&
    (score === undefined || typeof score === 'number')
  );
}

function isImageOfBoxes(value: unknown): value is (Detection | GroundTruth)[] {
  return Array.isArray(value) && value.every(isBox);
}

function toRow(item: Detection | GroundTruth, image?: number): BoxRow {
  const { difficult, truncated, crowd } = item as GroundTruth;
  const notes = Object.entries({ difficult, truncated, crowd }).flatMap(([name, set]) => (set ? [name] : []));
  return {
    image,
    label: item.label,
    score: (item as Detection).score,
    box: item.box,
    notes: notes.join(', '),
  };
}

/** `{ boxes, scores, labels }`, as detectors elsewhere give them. */
function parallelRows(value: unknown): BoxRow[] | undefined {
  if (!isPlainObject(value)) return undefined;
  const { boxes, scores } = value;
  const labels = value.labels ?? value.classes ?? value.classIds;
  if (!isNumbers(scores) || scores.length === 0) return undefined;
  if (!isNumbers(labels) && !(Array.isArray(labels) && labels.every((name) => typeof name === 'string')))
    return undefined;
  const count = scores.length;
  const flat = isNumbers(boxes) && boxes.length === 4 * count ? boxes : undefined;
  const nested =
    isListOf(boxes, isNumbers) && boxes.length === count && boxes.every((box) => box.length === 4)
      ? boxes
      : undefined;
  if (labels.length !== count || !(flat ?? nested)) return undefined;
  return Array.from({ length: count }, (_, i) => ({
    label: labels[i] as number | string,
    score: scores[i],
    box: nested?.[i] ?? Array.from({ length: 4 }, (_, k) => flat![4 * i + k]),
  }));
}

function surestFirst(rows: readonly BoxRow[]): BoxRow[] {
  return [...rows].sort((a, b) => (b.score ?? 0) - (a.score ?? 0));
}

/** Of many images the surest detections of each, so that the first one does not fill the table. */
function fairShare(rows: readonly BoxRow[], each: number): BoxRow[] {
  const taken = new Map<number, number>();
  const kept = rows.filter(({ image = 0 }) => {
    const before = taken.get(image) ?? 0;
    taken.set(image, before + 1);
    return before < each;
  });
  return kept.slice(0, mostRows);
}

function boxTable(rows: readonly BoxRow[], caption: string): Table {
  const has = (key: 'image' | 'score' | 'notes'): boolean =>
    rows.some((row) => row[key] !== undefined && row[key] !== '');
  const fixed = (decimals: number) => (value: TableCell) =>
    typeof value === 'number' ? value.toFixed(decimals) : '';
  return table(
    rows.map(({ image, label, score, box, notes }) => ({
      ...(has('image') ? { image } : {}),
      class: label,
      ...(has('score') ? { score } : {}),
      x1: box[0],
      y1: box[1],
      x2: box[2],
      y2: box[3],
      ...(has('notes') ? { notes } : {}),
    })),
    { caption, format: { score: fixed(3), x1: fixed(1), y1: fixed(1), x2: fixed(1), y2: fixed(1) } },
  );
}
