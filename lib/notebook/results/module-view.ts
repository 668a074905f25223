/** What networks and detectors show as a cell's value: their layers, and what these weigh. */
import type { AnchorSet } from '../../boxes/anchors';
import type { Module } from '../../nn/module';
import type { LayerVariables, Summary } from '../../nn/summary';
import type { ShownBundle } from '../../plot/display';
import { formatCount, formatSize } from '../../plot/format';
import { foldedTable, type LayerCells } from './folded-table';
import { className, isModule } from './module-like';
import { isPlainObject } from './plain';

/** A network's layers, or those of the network in a detector; `undefined` for anything else. */
export async function moduleView(value: unknown): Promise<ShownBundle | undefined> {
  if (isModule(value)) return layersView(value, '');
  if (!isPlainObject(value) || !isModule(value.model) || typeof value.detect !== 'function') return undefined;
  const anchors = (value.anchors as Partial<AnchorSet> | undefined)?.boxes?.length;
  return layersView(
    value.model,
    anchors === undefined ? 'Detector: ' : `Detector with ${formatCount(anchors / 4, 'anchor')}: `,
  );
}

async function layersView(model: Module, start: string): Promise<ShownBundle> {
  // Loaded here because it brings TensorFlow.js with it, as the network did.
  const { listLayers } = await import('../../nn/summary.js');
  const layers = listLayers(model);
  const buffers = layers.some((layer) => layer.buffers > 0);
  const layerOf = new Map(
    layers.map((layer): [LayerCells, LayerVariables] => [
      {
        layer: layer.layer || 'itself',
        type: layer.type,
        variables: shapesText(layer.variables),
        parameters: layer.parameters,
        ...(buffers ? { 'not trained': layer.buffers || undefined } : {}),
      },
      layer,
    ]),
  );
  const disposed = model.namedVariables().some(({ variable }) => variable.isDisposed) ? ' (disposed)' : '';
  const caption = `${start}${className(model)}${disposed}: ${weight(layers)}`;
  return foldedTable([...layerOf.keys()], caption, (rows) => weight(rows.map((row) => layerOf.get(row)!)));
}

/** "weight 3 x 3 x 64 x 28, bias 28"; neighbours of one shape share it: "weight, bias, running_mean, running_var 64". */
function shapesText(variables: LayerVariables['variables']): string {
  const shapes = variables.map(({ shape }) => shape.join(' x ') || 'scalar');
  return variables
    .map(({ name }, i) => (shapes[i] === shapes[i + 1] ? name : `${name} ${shapes[i]}`))
    .join(', ');
}

function weight(layers: readonly LayerVariables[]): string {
  const sum = (key: 'parameters' | 'buffers'): number =>
    layers.reduce((total, layer) => total + layer[key], 0);
  const [parameters, buffers] = [sum('parameters'), sum('buffers')];
  return [
    formatCount(layers.length, 'layer'),
    formatCount(parameters, 'parameter'),
    buffers > 0 ? `${formatCount(buffers)} numbers that are not trained` : '',
    formatSize(4 * (parameters + buffers)),
  ]
    .filter(Boolean)
    .join(', ');
}

/** A model of TensorFlow.js's own layers, as its `summary` prints it; `undefined` for anything else. */
export function layersModelView(value: unknown): ShownBundle | undefined {
  const model = value as Partial<{
    layers: unknown;
    countParams: unknown;
    summary(width: number, positions: undefined, print: (line: string) => void): void;
  }>;
  if (!Array.isArray(model.layers) || typeof model.countParams !== 'function') return undefined;
  const lines: string[] = [];
  model.summary?.(90, undefined, (line) => lines.push(line.trimEnd()));
  return lines.length === 0 ? undefined : { bundle: { 'text/plain': lines.join('\n') }, metadata: {} };
}

/** What `summarize` returns, as the table that it means; `undefined` for anything else. */
export function summaryView(value: unknown): ShownBundle | undefined {
  if (!isSummary(value)) return undefined;
  const { rows, parameters, notTrained, multiplyAdds } = value;
  const several = rows.some(({ batch }) => batch !== 1);
  const cells = rows.map((row): LayerCells => ({
    layer: row.layer,
    input: row.input.join(' x '),
    output: row.output.join(' x '),
    ...(several ? { times: row.batch } : {}),
    parameters: row.again ? undefined : row.parameters,
    'multiply-adds': row.multiplyAdds,
  }));
  const caption = [
    `${costsText(parameters, multiplyAdds)} (convolutions and fully connected layers only)`,
    notTrained > 0 ? `${formatCount(notTrained, 'number')} not trained` : '',
    leftOutText(value, 'not counted', 'no row for'),
    leftOutText(value, 'not run', 'not run:'),
    rows.some(({ again }) => again) ? 'layers that run again have no parameters there' : '',
  ];
  return foldedTable(cells, caption.filter(Boolean).join('; '), (inside) => {
    const sum = (key: string): number => inside.reduce((total, row) => total + Number(row[key] ?? 0), 0);
    const layers = new Set(inside.map(({ layer }) => layer)).size;
    return `${formatCount(layers, 'layer')}, ${costsText(sum('parameters'), sum('multiply-adds'))}`;
  });
}

function costsText(parameters: number, multiplyAdds: number): string {
  const costs =
    multiplyAdds < 1e5
      ? formatCount(multiplyAdds)
      : multiplyAdds < 1e9
        ? `${(multiplyAdds / 1e6).toFixed(1)} M`
        : `${(multiplyAdds / 1e9).toFixed(2)} G`;
  return `${formatCount(parameters, 'parameter')}, ${costs} multiply-adds an image`;
}

/** "no row for 20 BatchNorm2d (9,600 parameters)". */
function leftOutText(
  { leftOut }: Summary,
  reason: Summary['leftOut'][number]['reason'],
  start: string,
): string {
  const groups = leftOut.filter((group) => group.reason === reason);
  if (groups.length === 0) return '';
  return `${start} ${groups
    .map(
      ({ type, layers, parameters }) =>
        `${formatCount(layers)} ${type} (${formatCount(parameters, 'parameter')})`,
    )
    .join(', ')}`;
}

function isSummary(value: unknown): value is Summary {
  return (
    isPlainObject(value) &&
    typeof value.parameters === 'number' &&
    typeof value.multiplyAdds === 'number' &&
    Array.isArray(value.leftOut) &&
    Array.isArray(value.rows) &&
    value.rows.every(
      (row) => isPlainObject(row) && typeof row.layer === 'string' && Array.isArray(row.output),
    )
  );
}
