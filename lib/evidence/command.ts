/** `npm run evidence`: runs a paper's study with several seeds, keeps the results, and says what they show. */
import path from 'node:path';
import { parseDataFolder, parseProfile } from '../notebook/environment';
import { checkedOption, parseArguments, wholeNumber } from '../notebook/runner/arguments';
import { UsageError } from '../notebook/runner/select';
import { shortPath } from '../notebook/runner/short-path';
import { checkQueueName } from '../jobs/queue-job';
import { defaultQueueName, type QueueOptions } from '../jobs/queue-options';
import { shownAddress } from '../jobs/redis';
import type { Profile } from '../papers/profile';
import { onInterrupts, withoutEchoes } from '../tensor/signals';
import { parseBackendName } from '../tensor/ladder';
import { nearest } from '../tensor/nearest';
import { projectRoot } from '../tensor/packages';
import { prepareBeforeLongWork } from '../tensor/prepare/before-long-work';
import { table } from '../plot/table';
import { checkStudy } from './check-study';
import { openQueuedRuns } from './queued-run';
import { writeReport } from './report';
import { planRuns, runStudy } from './runner';
import { resultsFolder } from './store';
import { loadStudy, studyNames } from './studies';
import type { Study } from './study';
import { claimTable, loadEvidence } from './summary';
import { leastSeeds } from './verdict';

const help: string = `npm run evidence -- STUDY [options]

Backs the claims of a paper's notebook: runs every arm of its study with several seeds, keeps each run's result in
data/results/STUDY/PROFILE/ARM-seedN.json, and computes from them which claims are shown, not shown at this scale, or contradicted.

  STUDY                ${studyNames.join(', ')}; or a .js or .mjs file of yours that exports \`study\`
                       (lib/evidence/study.ts says what a study is)

  --profile NAME       quick, default or paper (default: default)
  --seeds N            seeds 1 to N of every arm (default: ${leastSeeds}, the fewest that show anything)
  --arms PATTERN       only these arms: names with * for anything, several joined by commas
  --jobs N             so many runs side by side, each with its share of the processor's threads (default: 1)
  --queue ADDRESS      the runs are made by other machines: those that \`npm run work -- --queue redis://HOST:PORT\` lends
  --queue-name NAME    the queue that they serve (default: ${defaultQueueName})
  --backend NAME       tensorflow, webgpu, wasm or cpu (default: the fastest there is)
  --data FOLDER        on images of yours, in any layout that \`npm run data\` knows; results go to STUDY-on-FOLDER
  --out FOLDER         keep results in FOLDER/STUDY/PROFILE (default: data/results)
  --list               the runs and what there is of them; runs nothing. Without a study: the studies
  --report             write the page and charts of the results that there are; runs nothing
  --help               this text

Runs that have a good result are not run again; those of other settings are. A command that was broken off, even by a crash or kill -9,
goes on where it was when it is given again: unfinished runs keep their checkpoints in runs/evidence (with --out: in FOLDER/.unfinished).
Ctrl-C lets all runs save and ends them; twice ends them at once. One run's numbers depend on its threads, and so on --jobs;
DETLAB_THREADS says how many there are to share. With --queue, checkpoints are kept by the machine that made them, --data and a STUDY of yours must
have the same path everywhere (or lie inside the project), and --jobs says how many runs are in the queue at once (default: 32).

Exit code: 0 all results are there, 1 some are not, 2 a mistake in the command, 130 interrupted.
`;

/** Runs the command. Returns the exit code. */
export async function evidenceCommand(words: string[]): Promise<number> {
  const { flags, values, names } = parseArguments(words, {
    help: 'flag',
    list: 'flag',
    report: 'flag',
    profile: { value: 'default' },
    seeds: { value: '3' },
    arms: { value: "'bn-*'" },
    jobs: { value: '2' },
    queue: { value: 'redis://localhost:6379' },
    'queue-name': { value: defaultQueueName },
    backend: { value: 'wasm' },
    data: { value: 'VOCdevkit' },
    out: { value: 'results' },
  });
  if (flags.has('help')) {
    console.log(help);
    return 0;
  }
  if (names.length === 0) {
    if (flags.has('list')) console.log(studyNames.join('\n'));
    else console.log(help);
    return flags.has('list') ? 0 : 2;
  }
  if (names.length > 1) throw new UsageError(`One study at a time, not also ${names.slice(1).join(' ')}.`);
  if (flags.has('list') && flags.has('report')) throw new UsageError('Either --list or --report, not both.');
  const profile = checkedOption(() => parseProfile(values.get('profile') ?? 'default', '--profile'));
  const seeds = wholeNumber(values, 'seeds') ?? leastSeeds;
  const jobs = wholeNumber(values, 'jobs');
  const queue = queueOptions(values, jobs);
  const wanted = values.get('backend');
  const backend =
    wanted === undefined ? undefined : checkedOption(() => parseBackendName(wanted, '--backend'));
  const folder = values.get('out');
  const out = folder === undefined ? resultsFolder : path.resolve(folder);
  const work =
    folder === undefined ? path.join(projectRoot, 'runs', 'evidence') : path.join(out, '.unfinished');

  const images = values.get('data');
  const data = images === undefined ? undefined : checkedOption(() => parseDataFolder(images, '--data'));
  const study = await loadStudy(names[0], data);
  if (!study.profiles.includes(profile))
    throw new UsageError(
      `--profile: ${study.name} has no profile '${profile}', only ${study.profiles.join(', ')}.`,
    );
  checkStudy(study, profile);
  const arms = chooseArms(study, profile, values.get('arms'));
  const plan = { study, profile, arms, seeds: Array.from({ length: seeds }, (_, i) => i + 1), out };
  if (flags.has('list')) return list(plan);
  if (flags.has('report')) return report(study, profile, out);

  if (!queue && !(await prepareBeforeLongWork(backend ?? process.env.DETLAB_BACKEND))) return 1;
  const source = names[0];
  const queued = queue && (await openQueuedRuns({ study: source, data, profile, backend }, queue));
  const [stop, kill] = [new AbortController(), new AbortController()];
  const deafen = onInterrupts(withoutEchoes((times) => (times === 1 ? stop : kill).abort()));
  try {
    const result = await runStudy({
      ...plan,
      source,
      data,
      jobs: jobs ?? 1,
      backend,
      queued,
      work,
      signal: stop.signal,
      killSignal: kill.signal,
    });
    console.log(`${result.there} of ${result.of} results are there.`);
    for (const failure of result.failures) console.log(`failed: ${failure.split('\n')[0]}`);
    if (result.there > 0) await report(study, profile, out);
    if (stop.signal.aborted) return 130;
    return result.there === result.of ? 0 : 1;
  } finally {
    deafen();
    await queued?.close();
  }
}

/** `undefined` without the option. */
function queueOptions(
  values: ReadonlyMap<string, string>,
  jobs: number | undefined,
): QueueOptions | undefined {
  const redis = values.get('queue');
  const name = values.get('queue-name') ?? defaultQueueName;
  if (redis === undefined) {
    if (values.has('queue-name')) throw new UsageError('--queue-name is for --queue redis://host:port.');
    return undefined;
  }
  checkedOption(() => shownAddress('--queue', redis));
  checkedOption(() => checkQueueName('--queue-name', name));
  return { redis, name, jobs, onNotice: (line) => console.log(line) };
}

/** The names of the arms that a pattern means. @throws UsageError where a part of it means none, naming the nearest. */
export function chooseArms(study: Study, profile: Profile, pattern: string | undefined): string[] {
  const names = study.arms(profile).map(({ name }) => name);
  if (pattern === undefined) return names;
  const chosen = new Set<string>();
  for (const part of pattern.split(',').map((text) => text.trim())) {
    const parts = part.split('*').map((text) => text.replace(/[.^$+?()[\]{}|\\]/g, '\\$&'));
    const found = names.filter((name) => new RegExp(`^${parts.join('.*')}$`, 'i').test(name));
    if (found.length === 0) {
      const near = nearest(part, names);
      throw new UsageError(
        `--arms: no arm is called '${part}'.${near ? ` Did you mean '${near}'?` : ''} There are ${names.join(', ')}.`,
      );
    }
    for (const name of found) chosen.add(name);
  }
  return names.filter((name) => chosen.has(name));
}

async function list(plan: Parameters<typeof planRuns>[0]): Promise<number> {
  const runs = await planRuns(plan);
  const states = { good: 'there', missing: 'to do', stale: 'of other settings', broken: 'broken' };
  const rows = plan.arms.map((arm) => ({
    arm,
    ...Object.fromEntries(
      runs.filter((run) => run.arm === arm).map(({ seed, file }) => [`seed ${seed}`, states[file.state]]),
    ),
  }));
  console.log(table(rows).text());
  for (const { file } of runs) if ('problem' in file) console.log(file.problem);
  return 0;
}

async function report(study: Study, profile: Profile, out: string): Promise<number> {
  const evidence = await loadEvidence(study, { profile, folder: out });
  if (evidence.runs.length === 0) {
    const why = evidence.problems.length > 0 ? `:\n${evidence.problems.join('\n')}` : '.';
    throw new UsageError(`There are no results of ${study.name} at the ${profile} profile to report${why}`);
  }
  const page = await writeReport(out, evidence);
  for (const problem of evidence.problems) console.log(`not used: ${problem}`);
  if (evidence.claims.length > 0) console.log(`\n${claimTable(evidence).text()}`);
  console.log(`\n${shortPath(page)}`);
  return 0;
}
