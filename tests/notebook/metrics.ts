/** What the notebooks must have measured at the quick profile, read off their tables: bounds, each with its reason. */
import { expect } from 'vitest';
import type { CodeCell, NotebookDocument } from '../../lib/notebook/nbformat';

/** The rows of the table whose caption or heading begins so, by column. */
function tableOf(notebook: NotebookDocument, beginning: string): Record<string, string>[] {
  const texts = notebook.cells
    .filter((cell): cell is CodeCell => cell.cell_type === 'code')
    .flatMap(({ outputs }) => outputs)
    .flatMap((output) => ('data' in output ? [output.data['text/plain']] : []))
    .map((text) => (Array.isArray(text) ? text.join('') : String(text)));
  const lines = texts.find((text) => text.startsWith(beginning))?.split('\n');
  if (!lines) throw new Error(`no table begins with "${beginning}"`);
  const rule = lines.findIndex((line) => line.startsWith('──'));
  // Columns stand below the dashes; a right-aligned cell may touch the one before it otherwise.
  const columns = [...lines[rule].matchAll(/─+/g)].map(({ 0: { length }, index }) => [index, index + length]);
  const cells = (line: string): string[] => columns.map(([from, to]) => line.slice(from, to).trim());
  const names = cells(lines[rule - 1]);
  return lines
    .slice(rule + 1)
    .filter((line) => line.trim() !== '')
    .map((line) => Object.fromEntries(cells(line).map((cell, i) => [names[i], cell])));
}

/** By the notebook's name; a notebook without an entry has nothing to bound. */
export const metricChecks: Readonly<Record<string, (notebook: NotebookDocument) => void>> = {
  '01-scratchdet'(notebook) {
    const counted = tableOf(notebook, 'The same code builds them all');
    // Arithmetic: not a digit may differ.
    expect(
      counted.slice(1).map((row) => [row.anchors, row['parameters (M)'], row['multiply-adds (G)']]),
    ).toEqual([
      ['8732', '26.29', '31.37'],
      ['8732', '24.57', '33.30'],
    ]);

    const norms = tableOf(notebook, 'One seed, ');
    expect(norms).toHaveLength(12);
    const at = (placement: string, rate: number): Record<string, string> =>
      norms.find((row) => row['batch norm'] === placement && Number(row.rate) === rate)!;
    for (const row of norms) {
      if (row['mAP here'] === 'diverged') continue;
      // Guessing costs 4 ln 7 = 7.8 and a box loss of about 3; random opinions about three times that. A dozen steps leave no more.
      expect(Number(row['last loss'])).toBeGreaterThan(4);
      expect(Number(row['last loss'])).toBeLessThan(30);
      // A detector that has barely begun: more than this would mean that it has seen the test images.
      expect(Number(row['mAP here'])).toBeLessThan(20);
    }
    // After so few steps the rate alone decides how far the loss has come; with batch norm ten times the rate is no danger.
    expect(Number(at('backbone', 0.02)['last loss'])).toBeLessThan(
      Number(at('backbone', 0.002)['last loss']),
    );

    const stems = tableOf(notebook, 'Small, medium, large: AP50');
    const costs = stems.map((row) => Number(row['multiply-adds (M)']));
    // The later the image is halved, the more a stem costs.
    expect(costs).toHaveLength(4);
    for (let i = 1; i < costs.length; i++) expect(costs[i]).toBeGreaterThanOrEqual(costs[i - 1]);

    const claims = tableOf(notebook, 'Claims, from the paper to this page');
    expect(claims.length).toBeGreaterThanOrEqual(6);
    for (const { verdict } of claims) expect(verdict).toMatch(/^(shown|not shown|contradicted)/);
  },
  '02-efficientdet'(notebook) {
    const counted = tableOf(notebook, 'The published networks, 90 classes');
    // Arithmetic: not a digit may differ.
    expect(
      counted.map((row) => [row.network, row.parameters, row['multiply-adds (G)'], row.anchors]),
    ).toEqual([
      ['D0', '3,880,067', '2.492', '49,104'],
      ['D1', '6,625,898', '6.003', '76,725'],
      ['D2', '8,097,039', '10.832', '110,484'],
      ['D3', '12,032,296', '24.569', '150,381'],
      ['D4', '20,723,675', '54.584', '196,416'],
      ['D5', '33,653,315', '134.134', '306,900'],
      ['D6', '51,871,782', '224.121', '306,900'],
      ['D7', '51,871,782', '322.732', '441,936'],
      ['D7x', '77,147,166', '407.628', '442,260'],
    ]);
    const necks = tableOf(notebook, 'As multiples of repeated FPN+PANet');
    expect(necks.map((row) => row['multiply-adds'])).toEqual([
      '1.00',
      '1.00',
      '0.71',
      '1.19',
      '0.66',
      '0.66',
    ]);

    const trained = tableOf(notebook, 'One seed, ');
    expect(trained).toHaveLength(6);
    // A detector that has barely begun: more than this would mean that it has seen the test images.
    for (const row of trained) expect(Number(row['mAP here'])).toBeLessThan(30);

    const fusions = tableOf(notebook, 'Three maps of D0');
    expect(fusions.map(({ fusion }) => fusion)).toEqual(['fast', 'softmax']);
    for (const [i, row] of fusions.entries()) {
      const [least, greatest] = row['sums of a node'].split(' to ').map(Number);
      // Softmax sums to 1; fast fusion misses it by epsilon over the weights' sum, which is two or three at the start.
      expect(least).toBeGreaterThan(i === 0 ? 0.9998 : 0.99998);
      expect(greatest).toBeLessThan(i === 0 ? 1 : 1.00002);
      // From a third and a half, a few steps lead nowhere far.
      expect(Number(row['smallest share'])).toBeGreaterThan(0.2);
      expect(Number(row['largest share'])).toBeLessThan(0.7);
      // The plain sum does strictly less.
      expect(Number(row['time, in plain sums'])).toBeGreaterThan(1);
    }

    const stages = tableOf(notebook, 'D0, one image');
    expect(stages.map((row) => row['share of them'])).toEqual(['76 %', '5 %', '18 %', '']);

    const claims = tableOf(notebook, 'Claims, from the paper to this page');
    expect(claims.length).toBeGreaterThanOrEqual(11);
    for (const { verdict } of claims) expect(verdict).toMatch(/^(shown|not shown|contradicted)/);
  },
  '03-megdet'(notebook) {
    // Two devices are the whole batch to the rounding of float32; apart they are another network.
    const trials = tableOf(notebook, '488,691 gradients');
    expect(trials).toHaveLength(3);
    const differences = trials.map((row) => Number(row['largest difference of a gradient']));
    expect(differences[0]).toBeLessThan(1e-5);
    expect(differences[1]).toBeLessThan(1e-5);
    expect(differences[2]).toBeGreaterThan(1e-3);
    for (const row of trials.slice(0, 2)) {
      expect(Number(row.loss)).toBeCloseTo(Number(row['loss, one device']), 4);
    }
    const hashes = tableOf(notebook, 'After 4 steps').map((row) => row['SHA-256 of all that it has']);
    expect(hashes).toHaveLength(2);
    expect(hashes[1]).toBe(hashes[0]);

    const segments = tableOf(notebook, '16 blocks');
    // Recomputation gives the same gradients, and short segments need less memory than all blocks at once.
    for (const row of segments) expect(row['all gradients the same to the bit']).toBe('yes');
    const bytes = segments.map((row) => Number(row['MB at most']));
    expect(Math.min(...bytes)).toBeLessThan(0.6 * bytes[bytes.length - 1]);

    const plans = tableOf(notebook, 'ResNet-50 at 64 pixels');
    // The larger the budget, the less is computed twice.
    const twice = plans.slice(2).map((row) => parseInt(row['computed twice'], 10));
    expect([...twice].sort((a, b) => a - b)).toEqual(twice);

    // Arithmetic: calibrated by the paper's time at 8 GPUs without cross-device batch norm, which then costs a little.
    const modelled = tableOf(notebook, 'A model, not a measurement');
    expect(modelled.map((row) => row.GPUs)).toEqual(['8', '16', '32', '64', '128']);
    expect(modelled.map((row) => row['hours (model)'])).toEqual(['33.8', '18.5', '9.4', '4.7', '2.4']);

    // A detector that has barely begun: more than this would mean that it has seen the test images.
    for (const row of tableOf(notebook, '128 images each')) expect(Number(row['mAP here'])).toBeLessThan(20);

    const claims = tableOf(notebook, 'Claims, from the paper to this page');
    expect(claims.length).toBeGreaterThanOrEqual(9);
    for (const { verdict } of claims) expect(verdict).toMatch(/^(shown|not shown|contradicted)/);
  },
  '04-frozen-backbones'(notebook) {
    // Freezing saves everything that is counted: trained numbers, operations, the share of the way back, bytes kept, of slots, at once.
    const steps = tableOf(notebook, 'One step of 8 images');
    expect(steps.map(({ trunk, reuse }) => `${trunk} ${reuse}`)).toEqual([
      'drawings-200x64 fine-tuned',
      'drawings-200x64 frozen',
      'imagenet fine-tuned',
      'imagenet frozen',
    ]);
    for (const at of [0, 2]) {
      const [tuned, frozen] = [steps[at], steps[at + 1]];
      for (const column of Object.keys(tuned).slice(2)) {
        const number = (row: Record<string, string>): number => parseFloat(row[column].replaceAll(',', ''));
        expect(number(frozen)).toBeLessThan(number(tuned));
      }
    }

    const shares = tableOf(notebook, 'The paper’s numbers').map((row) =>
      parseFloat(row['trained, frozen trunk']),
    );
    expect(shares).toHaveLength(4);
    for (const share of shares) {
      expect(share).toBeGreaterThan(20);
      expect(share).toBeLessThan(60);
    }

    const moved = tableOf(notebook, 'run');
    expect(moved.map(({ run }) => run)).toEqual(['frozen-fpn', 'fine-tuned-fpn', 'frozen-nas-fpn-cascade']);
    for (const row of moved) {
      // A frozen trunk is where it was; six steps move one that is trained, a little.
      if (row.run.startsWith('frozen')) expect(row['trunk has moved']).toBe('0, to the bit');
      else expect(parseFloat(row['trunk has moved'])).toBeGreaterThan(0);
      // A detector that has barely begun: more than this would mean that it has seen the test images.
      expect(Number(row['mAP here'])).toBeLessThan(20);
    }

    const claims = tableOf(notebook, 'Claims, from the paper to this page');
    expect(claims.length).toBeGreaterThanOrEqual(15);
    for (const { verdict } of claims) expect(verdict).toMatch(/^(shown|not shown|contradicted)/);
  },
};
