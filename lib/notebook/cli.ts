/** The command line behind npm's scripts: sends each command to its part, which is loaded only then. */
import { nearest } from '../tensor/nearest';
import { parseArguments } from './runner/arguments';
import { UsageError } from './runner/select';

interface Command {
  help: string;
  run: (words: string[]) => Promise<number>;
}

const commands: Record<string, Command> = {
  start: {
    help: 'run notebooks and write what they show (npm start -- --help)',
    run: async (words) => (await import('./runner/start.js')).startCommand(words),
  },
  lab: {
    help: 'open JupyterLab on the notebooks, with the TypeScript kernel (npm run lab -- --help)',
    run: async (words) => (await import('./jupyter/lab.js')).labCommand(words),
  },
  'kernel:install': {
    help: 'make the kernel known to Jupyter and VS Code (npm run kernel:install -- --help)',
    run: async (words) => (await import('./jupyter/install.js')).installCommand(words),
  },
  kernel: {
    help: 'speak Jupyter’s protocol (Jupyter starts it; see kernel:install)',
    run: async (words) => (await import('./protocol/command.js')).kernelCommand(words),
  },
  'new-notebook': {
    help: 'start a notebook from the template (npm run new-notebook my-paper)',
    run: async (words) => (await import('./new-notebook.js')).newNotebookCommand(words),
  },
  test: {
    help: 'prepare the backend, then run the tests; further words go to vitest (npm test -- tests/boxes)',
    run: async (words) => (await import('./test-command.js')).testCommand(words),
  },
  doctor: {
    help: 'say which backends this machine can use, why, and what would help (npm run doctor)',
    run: doctorCommand,
  },
  prepare: {
    help: 'prepare TensorFlow again, from the start (npm run prepare-backend)',
    run: prepareCommand,
  },
  scenes: {
    help: 'render the shipped data set (npm run scenes -- --help)',
    run: async (words) => (await import('../data/scenes/command.js')).scenesCommand(words),
  },
  data: {
    help: 'download VOC or COCO, or look through a folder of your own (npm run data -- --help)',
    run: async (words) => (await import('../data/download/command.js')).dataCommand(words),
  },
  train: {
    help: 'train a small detector on images of your own or the shipped ones (npm run train -- --help)',
    run: async (words) => (await import('../runs/command.js')).trainCommand(words),
  },
  evaluate: {
    help: 'measure a published network with its weights on COCO (npm run evaluate -- --help)',
    run: async (words) => (await import('../evaluate/command.js')).evaluateCommand(words),
  },
  evidence: {
    help: 'back a paper’s claims with several seeds of every run (npm run evidence -- --help)',
    run: async (words) => (await import('../evidence/command.js')).evidenceCommand(words),
  },
  work: {
    help: 'lend this machine to studies and searches that run on several (npm run work -- --help)',
    run: async (words) => (await import('../jobs/command.js')).workCommand(words),
  },
  pretrain: {
    help: 'make the shipped pretrained trunks again (npm run pretrain -- --help)',
    run: async (words) => (await import('../papers/pretrain-command.js')).pretrainCommand(words),
  },
  bench: {
    help: 'measure the backend (npm run bench -- --help)',
    run: async (words) => (await import('../bench/main.js')).benchCommand(words),
  },
  build: {
    help: 'compile lib to dist; every other command does so by itself (npm run build)',
    // lib/detlab.mjs has built before it called this.
    run: async (words) => {
      if (words.some((word) => word === '--help' || word === '-h'))
        console.log('npm run build: compiles lib to dist.');
      return 0;
    },
  },
};

/** Runs a command. Returns its exit code: 0 done, 1 failed, 2 a mistake in the command, 128 + n ended by signal n. */
export async function main(argv: string[]): Promise<number> {
  const [name, ...words] = argv;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    console.log(`Usage: npm start, npm test, or npm run <command>\n\n${helpText()}`);
    return name === undefined ? 2 : 0;
  }
  try {
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (!command) {
      const near = nearest(name, Object.keys(commands));
      throw new UsageError(
        `There is no command '${name}'.${near ? ` Did you mean '${near}'?` : ''}\n\n${helpText()}`,
      );
    }
    return await command.run(words);
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(error.message);
      return 2;
    }
    console.error(error instanceof Error ? (error.stack ?? error.message) : error);
    return 1;
  }
}

function helpText(): string {
  return Object.entries(commands)
    .map(([name, { help }]) => `  ${name.padEnd(15)} ${help}`)
    .join('\n');
}

async function doctorCommand(words: string[]): Promise<number> {
  const { flags } = parseArguments(words, { help: 'flag' });
  if (flags.has('help')) {
    console.log(
      'npm run doctor: which backends this machine can use, why, and what would make the others usable.',
    );
    return 0;
  }
  const { doctor, formatDoctor } = await import('../tensor/doctor.js');
  console.log(formatDoctor(await doctor()));
  return 0;
}

async function prepareCommand(words: string[]): Promise<number> {
  const { flags } = parseArguments(words, { help: 'flag' });
  if (flags.has('help')) {
    console.log(
      'npm run prepare-backend: prepares TensorFlow in the cache, also where an earlier try failed.',
    );
    return 0;
  }
  const { prepareTensorFlow } = await import('../tensor/prepare/prepare.js');
  const prepared = await prepareTensorFlow({ force: true });
  if (prepared.ok) return 0;
  console.error(`TensorFlow could not be prepared: ${prepared.reason}. What would help: ${prepared.remedy}`);
  return 1;
}
