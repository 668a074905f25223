/** Goes through COCO files once: maps ids, checks everything, and hands on what is sound. */
import { createProblemList, hasExtent, type Severity, worstOf } from '../check';
import type { EvaluationProblem, InvalidInput } from '../problems';
import { compareIds } from './columns';
import type {
  CocoAnnotationJson,
  CocoCategoryJson,
  CocoDetectionJson,
  CocoGroundTruthJson,
} from './json-types';

/** Takes what is sound; images and labels are places in `imageIds` and `categories`. */
export interface JsonVisitor {
  object(image: number, label: number, annotation: CocoAnnotationJson, id: number): void;
  detection(image: number, label: number, detection: CocoDetectionJson): void;
}

/** How the ids were mapped. */
export interface JsonMapping {
  /** Ascending, as the official code takes images. */
  readonly imageIds: readonly (number | string)[];
  /** By their ids, ascending: `categories[label]` is class `label`. */
  readonly categories: readonly CocoCategoryJson[];
}

/**
 * Visits annotations and detections in the files' order. Wrong are: an id that comes twice; an image or category that the
 * annotation file does not list; a box with a number that is not finite, or whose width or height is not above 0; an area below
 * 0; a score outside [0, 1].
 * @param visitor made when the ids are mapped
 * @throws EvaluationInputError that lists everything, unless `invalid` lets it pass
 */
export function readCocoJson(
  title: string,
  groundTruth: CocoGroundTruthJson,
  detections: readonly CocoDetectionJson[],
  invalid: InvalidInput | undefined,
  visitor: (mapping: JsonMapping) => JsonVisitor,
): JsonMapping & { readonly problems: readonly EvaluationProblem[] } {
  for (const key of ['images', 'categories', 'annotations'] as const) {
    if (!Array.isArray(groundTruth?.[key])) {
      throw new TypeError(`${title}: the annotation file has no array '${key}'; is it a results file?`);
    }
  }
  if (!Array.isArray(detections)) {
    throw new TypeError(
      `${title}: the results are not an array of { image_id, category_id, bbox, score }; is it an annotation file?`,
    );
  }
  const list = createProblemList(title, invalid);
  const distinct = <T extends { readonly id: number | string }>(
    items: readonly T[],
    what: 'image' | 'category',
  ): T[] => {
    const seen = new Set<number | string>();
    return items.filter(({ id }, index) => {
      const known = typeof id === 'number' || (what === 'image' && typeof id === 'string');
      const problem = !known
        ? `${what} ${index} has id ${String(id)}`
        : seen.has(id)
          ? `${what} ${index} has id ${id}, which another has`
          : undefined;
      if (problem) return list.report('fatal', { what, index, id, problem });
      seen.add(id);
      return true;
    });
  };
  const images = distinct(groundTruth.images, 'image');
  const ids = images.map(({ id }) => id);
  const mapping: JsonMapping = {
    imageIds: [...ids].sort(compareIds(ids)),
    categories: distinct(groundTruth.categories, 'category').sort((a, b) => a.id - b.id),
  };
  const places = new Map(mapping.imageIds.map((id, place) => [id, place]));
  const labels = new Map(mapping.categories.map(({ id }, label) => [id, label]));
  const visit = visitor(mapping);

  const annotationIds = new Set<number>();
  groundTruth.annotations.forEach((annotation, index) => {
    const { id = index + 1, image_id, category_id, bbox, area } = annotation;
    const image = places.get(image_id);
    const label = labels.get(category_id);
    const twice = annotationIds.has(id);
    annotationIds.add(id);
    const sound = isBox(bbox) && hasExtent(bbox[2], bbox[3]) && (area === undefined || area >= 0);
    if (!sound || image === undefined || label === undefined || twice) {
      const found: [Severity, string][] = [];
      if (twice) found.push(['fatal', 'an id that another has']);
      if (image === undefined) found.push(['foreign', `image_id ${image_id}, which is not among the images`]);
      if (label === undefined)
        found.push(['foreign', `category_id ${category_id}, which is not among the categories`]);
      found.push(...boxFindings(bbox, false));
      if (area !== undefined && !(area >= 0))
        found.push([Number.isNaN(area) ? 'fatal' : 'odd', `area ${area}`]);
      const { severity, problem } = worstOf(found);
      const where = `annotation ${index} (id ${id}, image ${image_id})`;
      const kept = list.report(severity, {
        what: 'object',
        index,
        image: image_id,
        id,
        problem: `${where} has ${problem}`,
      });
      if (!kept) return;
    }
    visit.object(image!, label!, annotation, id);
  });
  detections.forEach((detection, index) => {
    const { image_id, category_id, bbox, score } = detection;
    const image = places.get(image_id);
    const label = labels.get(category_id);
    const sound = isBox(bbox) && hasExtent(bbox[2], bbox[3]) && score >= 0 && score <= 1;
    if (!sound || image === undefined || label === undefined) {
      const found: [Severity, string][] = [];
      if (image === undefined)
        found.push(['fatal', `image_id ${image_id}, which is not among the images of the annotation file`]);
      if (label === undefined)
        found.push(['foreign', `category_id ${category_id}, which is not among the categories`]);
      found.push(...boxFindings(bbox, true));
      if (typeof score !== 'number' || Number.isNaN(score)) found.push(['fatal', `score ${String(score)}`]);
      else if (score < 0 || score > 1) found.push(['odd', `score ${score} (a score lies in [0, 1])`]);
      const { severity, problem } = worstOf(found);
      const kept = list.report(severity, {
        what: 'detection',
        index,
        image: image_id,
        problem: `detection ${index} (image ${image_id}, category ${category_id}) has ${problem}`,
      });
      if (!kept) return;
    }
    visit.detection(image!, label!, detection);
  });
  list.throwIfAny();
  return { ...mapping, problems: list.problems };
}

function isBox(bbox: unknown): bbox is readonly number[] {
  return Array.isArray(bbox) && bbox.length === 4 && Number.isFinite(bbox[0]) && Number.isFinite(bbox[1]);
}

function boxFindings(bbox: unknown, isDetection: boolean): [Severity, string][] {
  if (!isBox(bbox) || !bbox.every(Number.isFinite)) {
    const text = Array.isArray(bbox) ? `[${bbox.join(', ')}]` : String(bbox);
    return [['fatal', `bbox ${text} (a box is four numbers, [x, y, width, height])`]];
  }
  if (bbox[2] > 0 && bbox[3] > 0) return [];
  if (isDetection && bbox[2] >= 0 && bbox[3] >= 0) {
    return [['harmless', `bbox [${bbox.join(', ')}], without extent`]];
  }
  return [['odd', `bbox [${bbox.join(', ')}] (width and height must be above 0)`]];
}
