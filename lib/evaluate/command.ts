/** `npm run evaluate`: the AP of a published network with weights that the user has downloaded. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { formatProblems } from '../data/describe';
import { cocoSummary } from '../eval/coco/summary';
import { checkedOption, parseArguments, wholeNumber } from '../notebook/runner/arguments';
import { UsageError } from '../notebook/runner/select';
import { formatPublished } from '../papers/published';
import { formatCount } from '../plot/format';
import { useBackend } from '../tensor/backend';
import { type EvaluationData, openEvaluationData } from './data';
import type { PublishedNetwork } from './network';
import { publishedNetwork, publishedNetworkNames } from './networks';
import { evaluateNetwork } from './run';

const help: string = `npm run evaluate -- NETWORK WEIGHTS FOLDER [options]

Measures a network that others have trained: COCO's twelve figures, beside the AP that was published.

  NETWORK              ${publishedNetworkNames.slice(0, 5).join(', ')},
                       ${publishedNetworkNames.slice(5, 9).join(', ')} (the authors' weights, as effdet has them),
                       ${publishedNetworkNames.slice(9).join(', ')} (trained by effdet)
  WEIGHTS              the file, .pth or .safetensors; effdet's are at
                       github.com/rwightman/efficientdet-pytorch/releases/tag/v0.1
  FOLDER               COCO ("npm run data -- coco2017 --splits val2017" fetches it), or any layout that
                       "npm run data -- FOLDER" knows; classes are found by their names

  --split NAME         which images (default: val2017; elsewhere val or test, where the folder has them, or all)
  --batch N            images at a time (default: by the network's size)
  --limit N            the first N images only
  --soft-nms           the authors' soft-NMS instead of effdet's hard NMS
  --out FOLDER         figures (result.json) and detections in COCO's format (detections.json)
                       (default: runs/evaluate-NETWORK-FOLDER)
  --backend NAME       tensorflow, wasm or cpu (default: the fastest there is)
  --help               this text

Images are preprocessed as effdet's validate.py does. An evaluation that was broken off goes on when the same command is
given again.
`;

/** Runs the command. Returns the exit code. */
export async function evaluateCommand(words: string[]): Promise<number> {
  const { flags, values, names } = parseArguments(words, {
    help: 'flag',
    'soft-nms': 'flag',
    split: { value: 'val2017' },
    batch: { value: '8' },
    limit: { value: '100' },
    out: { value: 'runs/mine' },
    backend: { value: 'wasm' },
  });
  if (flags.has('help') || names.length === 0) {
    console.log(help);
    return flags.has('help') ? 0 : 2;
  }
  const [name, weights, folder, ...others] = names;
  const softNms = flags.has('soft-nms');
  const network = checkedOption(() => publishedNetwork(name, { softNms }));
  if (weights === undefined) throw new UsageError(`${name} needs its weights: a .pth or .safetensors file.`);
  if (folder === undefined) throw new UsageError(`After the weights, name the folder of the images.`);
  if (others.length > 0)
    throw new UsageError(`A network, its weights and one folder, not also ${others.join(' ')}.`);
  const batchSize = wholeNumber(values, 'batch') ?? usualBatch(network);
  const limit = wholeNumber(values, 'limit');
  await checkFile(weights);

  const backend = await useBackend({ backend: values.get('backend') });
  console.log(backend.line);
  const data = await openEvaluationData({ folder, split: values.get('split'), limit, network }).catch(
    (error: unknown) => {
      throw new UsageError((error as Error).message);
    },
  );
  describeData(data, network);
  const kind = `${name}${softNms ? '-soft-nms' : ''}-${data.name}`;
  const out = path.resolve(values.get('out') ?? path.join('runs', `evaluate-${kind}`));
  console.log(
    `${name}: input ${network.input.size} x ${network.input.size}, batches of ${batchSize}, in ${out}`,
  );

  const { result } = await evaluateNetwork({
    network,
    weights,
    data,
    folder: out,
    batchSize,
    settings: { softNms },
    onProgress: progressLines(),
  });
  console.log(`\n${cocoSummary(result)}\n`);
  describePublished(network, data);
  console.log(`\n${path.join(out, 'result.json')}, detections.json`);
  return 0;
}

/** 8 for 512 pixels, fewer for more. */
function usualBatch({ input }: PublishedNetwork): number {
  return Math.max(1, Math.floor(8 * (512 / input.size) ** 2));
}

async function checkFile(file: string): Promise<void> {
  const stat = await fs.stat(file).catch(() => undefined);
  if (stat?.isFile()) return;
  throw new UsageError(
    `There is no file of weights ${file}; network, weights and folder come in this order. --help tells where weights are to be had.`,
  );
}

function describeData(data: EvaluationData, network: PublishedNetwork): void {
  const { dataset, classes, labels, unknown, problems } = data;
  console.log(
    `${dataset.name}: ${formatCount(dataset.examples.length, 'image')}, ${formatCount(classes.length, 'class', 'classes')}`,
  );
  const known = network.classes.filter((one) => one !== undefined).length;
  const shared = labels.filter((label) => label !== undefined).length;
  if (unknown.length > 0) {
    console.log(
      `${network.name} does not predict ${unknown.join(', ')}: left out, and the figures are means of the other ${classes.length} classes.`,
    );
  }
  if (shared < known)
    console.log(`${known - shared} of the network's ${known} classes are not in these images.`);
  if (problems.length > 0) console.log(formatProblems(problems));
}

/** A line every ten seconds, and at the end. */
function progressLines(): (progress: { done: number; before: number; images: number }) => void {
  const started = performance.now();
  let told = -Infinity;
  return ({ done, before, images }) => {
    const now = performance.now();
    if (now - told < 10_000 && done < images) return;
    if (told === -Infinity && before > 0) console.log(`${formatCount(before)} images had been done before.`);
    told = now;
    const perImage = (now - started) / (done - before);
    const left = (perImage * (images - done)) / 60_000;
    const rest = done < images ? `, ${left.toFixed(left < 10 ? 1 : 0)} min to go` : '';
    console.log(
      `image ${formatCount(done)} of ${formatCount(images)}, ${Math.round(perImage)} ms an image${rest}`,
    );
  };
}

/** What was published, and whether it is about the same images. */
function describePublished({ published }: PublishedNetwork, data: EvaluationData): void {
  if (published.length === 0) {
    console.log('No AP was published for this network.');
    return;
  }
  console.log('Published, not measured here: AP on all 5000 images of COCO val2017');
  for (const { what, ap } of published) console.log(`  ${formatPublished(ap)} %  ${what} (${ap.source})`);
  const same = data.split === 'val2017' && data.dataset.examples.length === 5000 && data.unknown.length === 0;
  if (!same) console.log('These images are others, or fewer: the figures are not to be compared.');
}
