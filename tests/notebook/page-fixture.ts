/** A notebook with everything a page has to show, made without running anything. */
import { deflateSync } from 'node:zlib';
import type { CellInput, CodeCell, NotebookDocument, Output } from '../../lib/notebook/nbformat';
import { newNotebook } from '../../lib/notebook/nbformat';
import type { PageNotebook } from '../../lib/notebook/page/page';

/** A PNG (8-bit RGB) of a function of the pixel; the checksums that decoders verify are right. */
export function makePng(
  width: number,
  height: number,
  pixel: (x: number, y: number) => [number, number, number],
): Buffer {
  const rows = Buffer.alloc((width * 3 + 1) * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) rows.set(pixel(x, y), y * (width * 3 + 1) + 1 + x * 3);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const chunks = [chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), ...chunks]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc(body), body.length + 4);
  return out;
}

function crc(data: Buffer): number {
  let c = 0xffffffff;
  for (const byte of data) {
    c ^= byte;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  }
  return (c ^ 0xffffffff) >>> 0;
}

/** Coloured squares with box outlines, four tiles wide: looks like a row of detections. */
export function detectionsPng(): Buffer {
  const tile = 300;
  return makePng(tile * 4, tile, (x, y) => {
    const k = Math.floor(x / tile);
    const u = x % tile;
    if (u < 4 || u > tile - 5 || y < 4 || y > tile - 5) return [255, 255, 255];
    const [x1, y1, x2, y2] = [50 + 20 * k, 70, 190 + 15 * k, 215];
    const inside = u >= x1 && u <= x2 && y >= y1 && y <= y2;
    const edge = inside && (u < x1 + 4 || u > x2 - 4 || y < y1 + 4 || y > y2 - 4);
    if (edge) return [230, 25, 75];
    if (inside) return [120 + ((u * 7) % 60), 90 + ((y * 5) % 80), 60];
    return [110 + Math.round((y / tile) * 60), 150, 120 + Math.round((u / tile) * 60)];
  });
}

const steps = Array.from({ length: 120 }, (_, i) => i);
const losses = steps.flatMap((step) => [
  {
    step,
    loss: Number((4.2 * Math.exp(-step / 35) + 0.9 + 0.12 * Math.sin(step * 1.7)).toFixed(4)),
    run: 'with BN',
  },
  {
    step,
    loss: Number((4.2 * Math.exp(-step / 120) + 1.3 + 0.3 * Math.sin(step * 2.3)).toFixed(4)),
    run: 'without BN',
  },
]);

/** A line chart with a legend, made to a fixed width as notebooks make them. */
export const lossChart: Record<string, unknown> = {
  $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
  description: 'Training loss by step, with and without batch normalisation. </script><b>not markup</b>',
  title: { text: 'Training loss', subtitle: 'batch 16, seed 1' },
  width: 600,
  height: 300,
  autosize: { type: 'fit', contains: 'padding' },
  data: { values: losses },
  mark: { type: 'line', point: { size: 14 }, tooltip: true },
  encoding: {
    x: { field: 'step', type: 'quantitative', title: 'step' },
    y: { field: 'loss', type: 'quantitative', title: 'loss' },
    color: { field: 'run', type: 'nominal', title: null, legend: { orient: 'top', columns: 2 } },
  },
  config: {
    background: '#ffffff',
    view: { stroke: null },
    axis: { labelColor: '#57606a', gridColor: '#e6e8eb' },
  },
};

const barChart: Record<string, unknown> = {
  $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
  description: 'Average precision by class',
  hconcat: ['with BN', 'without BN'].map((run, k) => ({
    title: run,
    width: 360,
    height: 180,
    data: {
      values: ['apple', 'banana', 'cherry', 'fig', 'grape', 'lemon', 'pear'].map((name, i) => ({
        name,
        ap: Number((0.82 - 0.07 * i - 0.22 * k).toFixed(2)),
      })),
    },
    mark: 'bar',
    encoding: {
      x: { field: 'ap', type: 'quantitative', scale: { domain: [0, 1] }, title: 'AP at IoU 0.5' },
      y: { field: 'name', type: 'nominal', title: null },
    },
  })),
};

const introduction = String.raw`# ScratchDet: training from scratch with $\mathrm{BN}$

**Zhu et al., CVPR 2019** · [arXiv:1810.08425](https://arxiv.org/abs/1810.08425) · a small SSD, trained from random weights on generated scenes, with and without batch normalisation.

> The claim: *batch normalisation makes the loss landscape smooth enough that a detector needs no pretrained backbone.*

By the end you can

- say why an SSD without normalisation needs a small learning rate,
- read a **gradient-norm chart**, and
- [x] tell $\nabla_\theta L$ from $\lVert \nabla_\theta L \rVert_2$ (it costs \$5, or $10, to forget).`;

const idea = String.raw`## The idea, in words and formulae

The multibox loss (SSD, equation 1) of $N$ matched anchors is

$$
L(x, c, l, g) = \frac{1}{N}\bigl(L_{\text{conf}}(x, c) + \alpha\, L_{\text{loc}}(x, l, g)\bigr), \qquad
L_{\text{conf}} = -\sum_{i \in \mathrm{Pos}} x_{ij}^{p} \log \hat{c}_i^{p} - \sum_{i \in \mathrm{Neg}} \log \hat{c}_i^{0}
$$

and a layer that is normalised computes $\hat{x} = \frac{x - \mu_B}{\sqrt{\sigma_B^2 + \epsilon}}$, with \(\mu_B\) the mean of the batch. In code this is not a formula: ${'`const price = $5; const total = $10`'}.

\begin{align}
\mu_B &= \frac{1}{m} \sum_{i=1}^{m} x_i & \mathcal{F} &: \mathbb{R}^n \to \mathbb{R}^m
\end{align}

### Sizes of the six feature maps

| map | size | stride | anchors a cell | default scale $s_k$ | ratios | receptive field | parameters |
| --- | ---: | -----: | -------------: | ------------------: | ------ | --------------: | ---------: |
| 1 | 38 × 38 | 8 | 4 | 0.10 | 1, 2, 1/2 | 92 px | 1,180,160 |
| 2 | 19 × 19 | 16 | 6 | 0.20 | 1, 2, 1/2, 3, 1/3 | 196 px | 2,359,808 |
| 3 | 10 × 10 | 32 | 6 | 0.375 | 1, 2, 1/2, 3, 1/3 | 404 px | 885,248 |

1. Every anchor takes the box it overlaps most.
2. Every box takes its best anchor, whatever the overlap:
   1. ties go to the lower index;
   2. a box without an anchor is an error.

${'```ts'}
// The same, as lib/boxes/matching.ts does it
const matches: Int32Array = matchAnchors(anchors, truth, { positive: 0.5, negative: 0.4 }); // a long line that must scroll, not wrap
${'```'}

<details><summary>Why not focal loss?</summary>

Because the paper does not use it. <script>alert(1)</script><b onclick="alert(2)">Bold</b>, H<sub>2</sub>O.

</details>

![A remote picture](https://example.com/picture.png) and a [relative link](../lib/losses/multibox.ts).`;

const longCode = Array.from({ length: 34 }, (_, i) =>
  i === 0
    ? "import { buildSsd, createRandom, lossChart, showChart, type SsdOptions } from 'detlab';"
    : i % 9 === 0
      ? `// Part ${i / 9}: a head for each map`
      : `const head${i}: Layer = conv2d({ filters: ${i * 4}, kernel: 3, name: \`head.\${${i}}\` }, random.split('head${i}'));`,
).join('\n');

function code(
  source: string,
  outputs: Output[],
  seconds = 0.4,
  metadata: Record<string, unknown> = {},
): CellInput {
  const start = Date.UTC(2026, 0, 5, 12, 0, 0);
  return {
    cell_type: 'code',
    source,
    metadata: {
      execution: {
        'iopub.execute_input': new Date(start).toISOString(),
        'shell.execute_reply': new Date(start + seconds * 1000).toISOString(),
      },
      ...metadata,
    },
    outputs,
  } as CellInput;
}

const bundle = (data: Record<string, unknown>, metadata: Record<string, unknown> = {}): Output => ({
  output_type: 'display_data',
  data,
  metadata,
});

const resultsTable = `<table><caption>Claims</caption><thead><tr><th>claim</th><th>paper</th><th>ours</th><th>verdict</th></tr></thead><tbody>
<tr><td>BN lets a detector train from scratch</td><td>+5.2 mAP</td><td>+21.4 ± 1.3 mAP</td><td>reproduced</td></tr>
<tr><td>BN tolerates a 10 times larger learning rate</td><td>0.05</td><td>0.05</td><td>reproduced</td></tr>
<tr><td>The root block matters</td><td>+2.1 mAP</td><td>+0.3 ± 0.9 mAP</td><td>not shown at this scale</td></tr></tbody></table></div></section>`;

/** The rich notebook; `failing` leaves its last code cell with an error. */
export function richNotebook(failing = false): NotebookDocument {
  const cells: CellInput[] = [
    { cell_type: 'markdown', source: introduction },
    code(
      "import { describeBackend, lab } from 'detlab';\n\nconst run = await lab({ profile: 'quick', seed: 1 });\nrun.summary()",
      [
        {
          output_type: 'stream',
          name: 'stdout',
          text: 'backend \u001b[32mtensorflow\u001b[39m 2.21 (CPU, 2 threads)\n',
        },
        { output_type: 'stream', name: 'stdout', text: 'step 1/3\rstep 2/3\rstep 3/3 done\n' },
        {
          output_type: 'execute_result',
          execution_count: 1,
          data: { 'text/plain': "{ profile: \u001b[32m'quick'\u001b[39m, seed: \u001b[33m1\u001b[39m }" },
          metadata: {},
        },
      ],
    ),
    { cell_type: 'markdown', source: idea },
    code(longCode, [], 1.3),
    { cell_type: 'markdown', source: '## The data, drawn\n\nFour scenes of the training split.' },
    code(
      "showImages(dataset.take(4), { columns: 4, captions: true }); // the picture is wide: it must fit whatever the screen's width is",
      [
        bundle(
          { 'image/png': detectionsPng().toString('base64'), 'text/plain': 'Four scenes with boxes' },
          { 'image/png': { width: 800 } },
        ),
      ],
    ),
    {
      cell_type: 'markdown',
      source: '## The experiment\n\n### Training\n\nThe loss with and without `BatchNorm2d`.',
    },
    code(
      'await train(detector, data, { steps: 120 });\nshowChart(lossChart(history));',
      [
        {
          output_type: 'stream',
          name: 'stderr',
          text: 'one image has a degenerate box: images/0007.jpg, box 3\n',
        },
        bundle({ 'application/vnd.vegalite.v5+json': lossChart, 'text/plain': 'Training loss' }),
      ],
      41.2,
    ),
    code('showChart(averagePrecisionChart(results))', [
      bundle({ 'application/vnd.vegalite.v5+json': barChart, 'text/plain': 'AP' }),
    ]),
    { cell_type: 'markdown', source: '### Results\n\nClaim, paper, ours.' },
    code('showTable(claims)', [bundle({ 'text/html': resultsTable, 'text/plain': 'claims' })], 0.1, {
      tags: ['hide-input'],
    }),
    { cell_type: 'markdown', source: '## Exercises\n\nFrom here on, it is your turn.' },
    code('averagePrecision([], [])', failing ? [typeError] : [], 0.2),
    {
      cell_type: 'markdown',
      source: '## Summary\n\nNormalisation, not pretraining, is what a detector needs.',
    },
  ];
  const notebook = newNotebook(cells);
  let count = 0;
  for (const cell of notebook.cells) if (cell.cell_type === 'code') cell.execution_count = ++count;
  if (failing) (notebook.cells[12] as CodeCell).execution_count = 7;
  return notebook;
}

const typeError: Output = {
  output_type: 'error',
  ename: 'RangeError',
  evalue: 'averagePrecision: there is no ground truth of class 3; pass at least one image with a box',
  traceback: [
    '\u001b[1;31mRangeError\u001b[0m: averagePrecision: there is no ground truth of class 3; pass at least one image with a box',
    '    at \u001b[36mcell 13, line 1\u001b[0m:',
    '\u001b[32m    > 1 |\u001b[0m averagePrecision([], [])',
    '        | \u001b[31m^\u001b[0m',
    `    at averagePrecision (lib/eval/voc.ts:41:11) ${'<very & long> '.repeat(12)}`,
  ],
};

/** The rich notebook with the facts of its run. */
export function richPage(failing = false): PageNotebook {
  return {
    name: failing ? '02-broken' : '01-scratchdet',
    title: 'Untitled',
    notebook: richNotebook(failing),
    status: failing ? 'failed' : 'ok',
    seconds: failing ? 12.4 : 83.2,
    info: { profile: 'quick', backend: 'tensorflow 2.21, CPU', machine: '2 threads', date: '5 January 2026' },
    ...(failing
      ? {
          failure: {
            cell: 13,
            ename: 'RangeError',
            evalue: 'averagePrecision: there is no ground truth of class 3',
            line: 1,
          },
        }
      : {}),
  };
}
