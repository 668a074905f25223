/** Architectures of a search space as coloured strips: a square a block, a colour a choice, a gap between stages. */
import type { Architecture } from '../models/architecture';
import { type ChartOptions, type ChartSpec, makeChart } from './chart-spec';
import { chartColors, luminance } from './colors';

/** One strip. */
export interface ArchitectureStrip {
  readonly name: string;
  readonly architecture: Architecture;
  /** Blocks of each stage; left out: one stage. */
  readonly stages?: readonly number[];
  /** Written behind the strip: what it costs, what it detects. */
  readonly note?: string;
}

/** Options of {@link architectureChart}. */
export interface ArchitectureChartOptions extends ChartOptions {
  /** What choice 0, 1, … of a block is, for the legend. */
  readonly choices: readonly string[];
}

/** Squares left free between two stages. */
const gap = 0.5;
/** The height of a strip, the width of a letter, and that of the longest name, pixels. */
const rowHeight = 26;
const letter = 6.8;
const namesLimit = 240;

/**
 * Strips below one another, each block with its choice's number, so that it reads without colours, too.
 * @throws where there are no strips, two have one name, a block has a choice without a name, or stages don't have as many blocks as the architecture.
 */
export function architectureChart(
  strips: readonly ArchitectureStrip[],
  options: ArchitectureChartOptions,
): ChartSpec {
  const { choices, ...rest } = options;
  if (strips.length === 0) throw new Error('architectureChart: no strips; give at least one architecture');
  const names = strips.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new Error(`architectureChart: two strips are called "${twice}"; a name is a row`);
  const colors = choices.map((_, i) => chartColors[i % chartColors.length]);
  const blocks = strips.flatMap(({ name, architecture, stages = [architecture.length] }) => {
    const count = stages.reduce((sum, stage) => sum + stage, 0);
    if (count !== architecture.length) {
      throw new RangeError(
        `architectureChart: "${name}" has ${architecture.length} blocks, its stages ${count}; give the stages of its size`,
      );
    }
    const stageOf = stages.flatMap((stage, i) => new Array<number>(stage).fill(i));
    return architecture.map((choice, block) => {
      if (!(choice in choices)) {
        throw new RangeError(
          `architectureChart: block ${block} of "${name}" has choice ${choice}; there are names of 0 to ${choices.length - 1}`,
        );
      }
      const from = block + gap * stageOf[block];
      return {
        name,
        from,
        to: from + 1,
        middle: from + 0.5,
        block: block + 1,
        stage: stageOf[block] + 1,
        choice: choices[choice],
        number: choice,
        light: luminance(colors[choice]) < 0.3,
      };
    });
  });
  const end = Math.max(...blocks.map(({ to }) => to));
  const notes = strips.flatMap(({ name, note }) =>
    note === undefined ? [] : [{ name, note, at: end + 0.5 }],
  );
  // Names stand before the strips, notes behind them; the blocks share what is left of the width.
  const width = options.width ?? 820;
  const pixels = (texts: readonly string[]): number =>
    letter * Math.max(0, ...texts.map(({ length }) => length));
  const drawn = width - Math.min(namesLimit, pixels(names)) - 40;
  const noteShare = Math.min(0.5, (pixels(notes.map(({ note }) => note)) + 24) / drawn);
  const domain = [0, end / (1 - noteShare)];
  const y = {
    field: 'name',
    type: 'ordinal',
    scale: { domain: names, padding: 0.15 },
    title: null,
    axis: { domain: false, ticks: false, grid: false, labelLimit: namesLimit, labelColor: '#1f2328' },
  };
  const scale = { domain, nice: false, zero: false };
  const across = (field: string): Record<string, unknown> => ({
    field,
    type: 'quantitative',
    scale,
    axis: null,
  });
  const tooltip = [
    { field: 'name', type: 'nominal', title: 'Network' },
    { field: 'stage', type: 'quantitative', title: 'Stage' },
    { field: 'block', type: 'quantitative', title: 'Block' },
    { field: 'choice', type: 'nominal', title: 'Choice' },
  ];
  const layer = [
    {
      data: { values: blocks },
      mark: { type: 'rect', stroke: '#ffffff', strokeWidth: 1.5 },
      encoding: {
        x: across('from'),
        x2: { field: 'to' },
        y,
        tooltip,
        color: {
          field: 'choice',
          type: 'nominal',
          title: null,
          scale: { domain: [...choices], range: colors },
          legend: { orient: 'top', direction: 'horizontal', symbolType: 'square', symbolStrokeWidth: 0 },
        },
      },
    },
    {
      data: { values: blocks },
      mark: { type: 'text', fontSize: 11 },
      encoding: {
        x: across('middle'),
        y,
        tooltip,
        text: { field: 'number', type: 'quantitative' },
        color: { condition: { test: 'datum.light', value: '#ffffff' }, value: '#1f2328' },
      },
    },
    ...(notes.length === 0
      ? []
      : [
          {
            data: { values: notes },
            mark: { type: 'text', align: 'left', color: '#57606a' },
            encoding: { x: across('at'), y, text: { field: 'note', type: 'nominal' } },
          },
        ]),
  ];
  return makeChart(
    { layer },
    { ...rest, width },
    `Architectures as strips of ${choices.join(', ')}: ${strips
      .map(
        ({ name, architecture, note }) =>
          `${name} ${architecture.join('')}${note === undefined ? '' : ` (${note})`}`,
      )
      .join('; ')}.`,
    strips.length * rowHeight + 90,
  );
}
