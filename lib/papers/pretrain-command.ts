/** The command `npm run pretrain`: makes the trunks in data/weights again. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { createProgress } from '../plot/progress';
import { useBackend } from '../tensor/backend';
import { nearest } from '../tensor/nearest';
import { writeSafetensors } from '../weights/safetensors';
import { stateDict } from '../weights/state-dict';
import { efficientDetRecipes } from './efficientdet/recipes';
import { pretrainEfficientDetTrunk } from './efficientdet/trunks';
import { type ShippedTrunk, shippedTrunkFile, shippedTrunks } from './shipped-trunks';

const help = `npm run pretrain -- [TRUNK]...     makes the pretrained trunks in data/weights again

  TRUNK               ${shippedTrunks.join(', ')} (default: all of them), about five minutes each on two cores
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
    const trunks = positionals.length > 0 ? positionals.map(trunkNamed) : shippedTrunks;
    console.log((await useBackend()).line);
    for (const trunk of trunks) {
      const shipped = shippedTrunkFile(trunk);
      await make(trunk, values.output ? path.join(values.output, path.basename(shipped)) : shipped);
    }
    return 0;
  } catch (error) {
    console.error(`pretrain: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
}

function trunkNamed(name: string): ShippedTrunk {
  const found = shippedTrunks.find((trunk) => trunk === name);
  if (found) return found;
  const near = nearest(name, shippedTrunks);
  throw new Error(
    `there is no trunk "${name}"${near ? `; did you mean "${near}"?` : `; there are ${shippedTrunks.join(' and ')}`}`,
  );
}

async function make(trunk: ShippedTrunk, file: string): Promise<void> {
  const recipe = efficientDetRecipes.default;
  const progress = createProgress({ label: trunk, total: recipe.pretraining.steps });
  const { backbone, accuracy } = await pretrainEfficientDetTrunk(recipe, trunk, {
    onStep: ({ step, loss }) => {
      progress.update({ step: step + 1, loss: loss.toFixed(2) });
    },
  });
  progress.done();
  await fs.mkdir(path.dirname(file), { recursive: true });
  const { classes, steps } = recipe.pretraining;
  const right = `${(100 * accuracy).toFixed(1)} % right`;
  await writeSafetensors(file, await stateDict(backbone), {
    metadata: { trunk, steps: String(steps), classes: String(classes), accuracy: accuracy.toFixed(4) },
  });
  backbone.dispose();
  console.log(
    `${path.relative('.', file)}: ${classes} classes, ${right} on drawings of a hand that it has not seen`,
  );
}
