/** A study's page: README.md and charts beside its results. */
import path from 'node:path';
import { formatCount } from '../plot/format';
import { makeFolders } from '../tensor/folders';
import { writeAtomically } from '../weights/atomic-file';
import { evidenceChart } from './chart';
import { resultsFolder, studyFolder } from './store';
import { armTable, claimTable, comparisonTable, type Evidence, provenanceTable } from './summary';
import { verdictRule } from './verdict';

/** Writes README.md and a METRIC.svg for each metric into the study's folder; returns the page's path. */
export async function writeReport(root: string, evidence: Evidence): Promise<string> {
  const folder = studyFolder(root, evidence.study, evidence.profile);
  makeFolders(folder);
  const { chartSvg } = await import('../plot/render.js');
  for (const metric of Object.keys(evidence.metrics)) {
    const svg = await chartSvg(evidenceChart(evidence, { metric, width: 760 }));
    await writeText(path.join(folder, `${metric}.svg`), svg);
  }
  const file = path.join(folder, 'README.md');
  await writeText(file, reportText(evidence, root === resultsFolder));
  return file;
}

function writeText(file: string, text: string): Promise<void> {
  return writeAtomically(file, (handle) => handle.writeFile(text));
}

/** The page. @param shipped whether the results are the project's own: says the command that makes them */
export function reportText(evidence: Evidence, shipped: boolean = true): string {
  const { study, profile, runs, problems } = evidence;
  const arms = new Set(runs.map(({ arm }) => arm)).size;
  const command = `npm run evidence -- ${study}${profile === 'default' ? '' : ` --profile ${profile}`}`;
  const made = `Made by \`${shipped ? command : 'npm run evidence'}\`; don't edit.`;
  const parts = [
    `# ${evidence.title}: evidence`,
    `${formatCount(runs.length, 'run')} of ${formatCount(arms, 'arm')} at the ${profile} profile. ${made}`,
  ];
  if (evidence.claims.length > 0) {
    parts.push('## Claims', claimTable(evidence).markdown());
    parts.push('What each rests on:', comparisonTable(evidence).markdown());
  }
  parts.push('## Arms');
  for (const [metric, { title }] of Object.entries(evidence.metrics))
    parts.push(
      `![${title}: a dot for each seed, a bar for the mean](${metric}.svg)`,
      armTable(evidence, metric).markdown(),
    );
  parts.push('## The rule', verdictRule, '## How the runs were made', provenanceTable(evidence).markdown());
  const broken = runs.filter(({ provenance }) => provenance.earlier !== undefined).length;
  if (broken > 0)
    parts.push(
      `${formatCount(broken, 'run was', 'runs were')} broken off and went on later: their files tell of each sitting.`,
    );
  if (problems.length > 0) parts.push('Not used:', problems.map((line) => `- ${line}`).join('\n'));
  return `${parts.map(aligned).join('\n\n')}\n`;
}

/** A Markdown table as the project's formatter leaves it: every column as wide as its widest cell. Other text stays. */
function aligned(text: string): string {
  if (!text.startsWith('| ')) return text;
  const rows = text.split('\n').map((line) =>
    line
      .slice(2, -2)
      .split(' | ')
      .map((cell) => cell.trim()),
  );
  const widths = rows[0].map((_, i) =>
    Math.max(3, ...rows.map((row, at) => (at === 1 ? 0 : [...row[i]].length))),
  );
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return rows
    .map((row, at) =>
      line(
        row.map((cell, i) => {
          const right = rows[1][i].endsWith(':');
          if (at === 1) return right ? `${'-'.repeat(widths[i] - 1)}:` : `:${'-'.repeat(widths[i] - 1)}`;
          const room = ' '.repeat(widths[i] - [...cell].length);
          return right ? room + cell : cell + room;
        }),
      ),
    )
    .join('\n');
}
