/** What finished runs look like: curves, detections, a table. */
import type { DetectionDataset } from '../data/types';
import { drawBoxes } from '../plot/boxes';
import type { ChartSpec } from '../plot/chart-spec';
import { imageGrid } from '../plot/image-grid';
import { lineChart } from '../plot/line-chart';
import { panels } from '../plot/panels';
import type { Picture } from '../plot/picture';
import type { DatasetDetections } from '../train/evaluate';
import type { RunResult } from './run';

/** Loss and validation AP of one run or several, side by side. */
export function runChart(results: readonly RunResult[], title?: string): ChartSpec {
  const loss = lineChart(
    results.map(({ detector, curve }) => ({
      name: detector,
      x: curve.map(({ step }) => step),
      y: curve.map((point) => point.loss),
    })),
    { x: 'Step', y: 'Training loss', yScale: 'log' },
  );
  const ap = lineChart(
    results.map(({ detector, validation }) => ({
      name: detector,
      x: validation.map(({ step }) => step),
      y: validation.map(({ ap50 }) => ap50),
    })),
    { x: 'Step', y: 'Validation AP50 (VOC 2007)', yDomain: [0, 1] },
  );
  return panels([loss, ap], { title, width: 760, height: 220 });
}

/**
 * The first test images with what is there and what was found.
 * @param count how many; 6 unless told
 */
export async function detectionSheet(
  found: DatasetDetections,
  dataset: DetectionDataset,
  count: number = 6,
): Promise<Picture> {
  const pictures: Picture[] = [];
  for (let i = 0; i < Math.min(count, found.ids.length); i++) {
    const example = dataset.examples.find(({ id }) => id === found.ids[i])!;
    pictures.push(
      await drawBoxes(await example.image(), {
        classes: dataset.classes,
        groundTruth: found.groundTruth[i],
        detections: found.detections[i],
        scoreThreshold: 0.4,
        width: 320,
      }),
    );
  }
  return imageGrid(pictures, { columns: 3, captions: found.ids.slice(0, count) });
}

/** A Markdown table of runs, with everything measured. */
export function runTable(results: readonly RunResult[]): string {
  const classes = results[0]?.classes ?? [];
  const others = Object.keys(results[0]?.others ?? {});
  const head = [
    'detector',
    'input',
    'parameters',
    'multiply-adds',
    'steps',
    'minutes',
    'ms/step',
    'AP50 (VOC 2007)',
    ...(classes.length <= 5 ? classes : []),
    'AP (COCO)',
    ...others.map((name) => `AP50 (${name})`),
    'ms/image',
  ];
  const rows = results.map(({ detector, recipe, parameters, multiplyAdds, seconds, msPerStep, ...rest }) => [
    detector,
    `${recipe.width} x ${recipe.height}`,
    `${(parameters / 1e6).toFixed(2)} M`,
    `${(multiplyAdds / 1e9).toFixed(2)} G`,
    String(recipe.steps),
    (seconds / 60).toFixed(1),
    String(Math.round(msPerStep)),
    `**${rest.test.voc07Ap50.toFixed(3)}**`,
    ...(classes.length <= 5 ? classes.map((name) => (rest.test.perClass[name] ?? NaN).toFixed(3)) : []),
    rest.test.coco.ap.toFixed(3),
    ...others.map((name) => rest.others[name].voc07Ap50.toFixed(3)),
    String(Math.round(rest.test.msPerImage)),
  ]);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
