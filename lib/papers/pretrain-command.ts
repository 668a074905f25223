/** The command `npm run pretrain`: makes the trunks in data/weights again. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Module } from '../nn/module';
import { createProgress } from '../plot/progress';
import { useBackend } from '../tensor/backend';
import { nearest } from '../tensor/nearest';
import { writeSafetensors } from '../weights/safetensors';
import { stateDict } from '../weights/state-dict';
import { pretrainDetNasClassifier } from './detnas/pretrain';
import { detNasRecipes } from './detnas/recipes';
import { shippedDetNasClassifier } from './detnas/supernets';
import { type EfficientDetRecipe, efficientDetRecipes } from './efficientdet/recipes';
import { pretrainEfficientDetTrunk } from './efficientdet/trunks';
import { drawingsFile, drawingSources, drawingsUpstream } from './frozen-backbones/sources';
import type { PretrainOptions } from './pretraining';
import { type ShippedTrunk, shippedTrunkFile, shippedTrunks } from './shipped-trunks';

/** How a trunk in data/weights, or what begins with one, is made. */
interface Pretrained {
  readonly file: string;
  readonly steps: number;
  /** Upstream classes, and training pictures of each. */
  readonly classes: number;
  readonly perClass: number;
  make(
    options: Pick<PretrainOptions, 'onStep'>,
  ): Promise<{ readonly model: Module; readonly accuracy: number }>;
}

const { default: recipe } = efficientDetRecipes;

/** All of them by name. `drawings-200x64` is the one that ships as `resnet`. */
const pretrained: ReadonlyMap<string, Pretrained> = new Map<string, Pretrained>([
  ...shippedTrunks.map((trunk): [string, Pretrained] => [
    trunk,
    {
      file: shippedTrunkFile(trunk),
      ...recipe.pretraining,
      make: trunkMaker(recipe, trunk),
    },
  ]),
  ...drawingSources
    .filter((source) => drawingsFile(source) !== shippedTrunkFile('resnet'))
    .map((source): [string, Pretrained] => {
      const pretraining = { ...recipe.pretraining, ...drawingsUpstream(source) };
      return [
        source,
        {
          file: drawingsFile(source),
          ...pretraining,
          make: trunkMaker({ ...recipe, pretraining }, 'resnet'),
        },
      ];
    }),
  [
    'detnas',
    {
      file: shippedDetNasClassifier,
      ...detNasRecipes.default.pretraining,
      make: (options) => pretrainDetNasClassifier(detNasRecipes.default, options),
    },
  ],
]);
const names = [...pretrained.keys()];

function trunkMaker(of: EfficientDetRecipe, trunk: ShippedTrunk): Pretrained['make'] {
  return async (options) => {
    const { backbone: model, accuracy } = await pretrainEfficientDetTrunk(of, trunk, options);
    return { model, accuracy };
  };
}

const help = `npm run pretrain -- [TRUNK]...     makes the pretrained trunks in data/weights again

  TRUNK               ${names.join(', ')}
                      (default: all of them), about five minutes each on two cores;
                      detnas, a supernet, about a quarter of an hour
  --output FOLDER     writes there instead, so that the shipped ones stay
  --help              this text
`;

/** Runs the command. Returns the exit code; what went wrong is on standard error. */
export async function pretrainCommand(args: string[]): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { output: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    });
    if (values.help) {
      console.log(help);
      return 0;
    }
    const trunks = positionals.length > 0 ? positionals.map(trunkNamed) : names;
    console.log((await useBackend()).line);
    for (const name of trunks) {
      const { file } = pretrained.get(name)!;
      await make(name, values.output ? path.join(values.output, path.basename(file)) : file);
    }
    return 0;
  } catch (error) {
    console.error(`pretrain: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
}

function trunkNamed(name: string): string {
  if (pretrained.has(name)) return name;
  const near = nearest(name, names);
  throw new Error(
    `there is no trunk "${name}"${near ? `; did you mean "${near}"?` : `; there are ${names.join(', ')}`}`,
  );
}

async function make(name: string, file: string): Promise<void> {
  const { classes, perClass, steps, make: train } = pretrained.get(name)!;
  const progress = createProgress({ label: name, total: steps });
  const { model, accuracy } = await train({
    onStep: ({ step, loss }) => {
      progress.update({ step: step + 1, loss: loss.toFixed(2) });
    },
  });
  progress.done();
  await fs.mkdir(path.dirname(file), { recursive: true });
  const right = `${(100 * accuracy).toFixed(1)} % right`;
  await writeSafetensors(file, await stateDict(model), {
    metadata: {
      trunk: name,
      steps: String(steps),
      classes: String(classes),
      perClass: String(perClass),
      accuracy: accuracy.toFixed(4),
    },
  });
  model.dispose();
  console.log(
    `${path.relative('.', file)}: ${classes} classes, ${right} on drawings of a hand that it has not seen`,
  );
}
