/** The command `npm run scenes`: renders the shipped set into the cache, and contact sheets to look at. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { encodePng } from '../image';
import { sceneCounts, type SceneSplit } from './cast';
import { resolveDifficulty, sceneDifficulties, type SceneDifficultyName } from './difficulty';
import { loadScenes, type ScenesProgress } from './prepare';
import { contactSheet, type SheetItem } from './sheet';

const help = `npm run scenes -- [options]     renders the shipped scenes into the cache

  --split NAME        ${Object.keys(sceneCounts).join(', ')} (default: all of them)
  --difficulty NAME   ${Object.keys(sceneDifficulties).join(', ')} (default: standard)
  --size PIXELS       width and height (default: 128)
  --count N           only the first N images of a split
  --seed TEXT         another set than the published one (default: 0)
  --sheet FILE.png    also draws the first 60 images with their boxes (one split)
  --list              says what there is, and renders nothing
  --help              this text
`;

/** Runs the command. Returns the exit code; what went wrong is on standard error. */
export async function scenesCommand(args: string[]): Promise<number> {
  try {
    return await run(args);
  } catch (error) {
    console.error(`scenes: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
}

async function run(args: string[]): Promise<number> {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const { values } = parseArgs({
    args,
    options: {
      split: text,
      difficulty: text,
      size: text,
      count: text,
      seed: text,
      sheet: text,
      list: flag,
      help: flag,
    },
  });
  if (values.help) {
    console.log(help);
    return 0;
  }
  if (values.list) {
    list();
    return 0;
  }
  if (values.sheet !== undefined && values.split === undefined)
    throw new Error('--sheet needs --split: a sheet shows one split.');
  const difficulty = resolveDifficulty((values.difficulty ?? 'standard') as SceneDifficultyName);
  const size = wholeNumber('--size', values.size) ?? 128;
  const count = wholeNumber('--count', values.count);
  const all = Object.keys(sceneCounts) as SceneSplit[];
  // The style-shift families draw VOC classes only.
  const splits = values.split
    ? [values.split as SceneSplit]
    : all.filter((s) => s !== 'style-shift' || !('upstream' in difficulty.classes));
  for (const split of splits) {
    const started = performance.now();
    let progress = false;
    const onProgress = (state: ScenesProgress): void => {
      progress = true;
      showProgress(state);
    };
    const dataset = await loadScenes({ split, size, count, difficulty, seed: values.seed ?? 0, onProgress });
    if (progress && process.stdout.isTTY) process.stdout.write('\r\x1b[K');
    const objects = dataset.examples.reduce((sum, example) => sum + example.objects.length, 0);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(
      `${split}: ${dataset.examples.length} images, ${objects} objects, ${dataset.classes.length} classes (${seconds} s)`,
    );
    if (values.sheet !== undefined) {
      const items: SheetItem[] = [];
      for (const { image, objects, id } of dataset.examples.slice(0, 60)) {
        items.push({ image: await image(), objects, caption: id.slice(-4) });
      }
      const cell = Math.max(192, size);
      const sheet = contactSheet(items, {
        cell,
        columns: Math.min(8, items.length),
        classes: dataset.classes,
      });
      await fs.writeFile(values.sheet, await encodePng(sheet));
      console.log(`${path.resolve(values.sheet)}: ${items.length} images`);
    }
  }
  return 0;
}

function showProgress({ split, done, total, secondsLeft }: ScenesProgress): void {
  if (!process.stdout.isTTY) return; // a log needs no moving line
  const left = Number.isFinite(secondsLeft) ? `, ${Math.ceil(secondsLeft)} s left` : '';
  process.stdout.write(`\r\x1b[K${split}: ${done} of ${total} images${left}`);
}

function list(): void {
  console.log('Splits (images):');
  for (const [split, count] of Object.entries(sceneCounts)) console.log(`  ${split.padEnd(14)}${count}`);
  console.log('Difficulties (classes, mean objects an image, median side of an object):');
  for (const { name, classes, meanObjects, size } of Object.values(sceneDifficulties)) {
    const count = 'upstream' in classes ? classes.upstream : classes.length;
    console.log(
      `  ${name.padEnd(14)}${String(count).padEnd(4)}${String(meanObjects).padEnd(5)}${Math.round(size[1] * 100)} %`,
    );
  }
}

function wholeNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`${option} is "${text}"; it must be a whole number above 0.`);
  return Number(text);
}
