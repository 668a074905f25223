/** Tables of layers: whole while they are short, by parts of the network that open on a click when they are long. */
import type { ShownBundle } from '../../plot/display';
import { escapeHtml, formatCount } from '../../plot/format';
import { type Table, table, type TableCell } from '../../plot/table';

/** Rows that are shown at once, and rows of one part or of the text form. */
const wholeRows = 40;
const mostRows = 200;
const mostTextRows = 60;

/** A row; `layer` is the path of names that parts are made of. */
export type LayerCells = Readonly<Record<string, TableCell>> & { readonly layer: string };

/**
 * A table of layers with a line above it.
 * @param describe what the line of a part says of its rows
 */
export function foldedTable(
  rows: readonly LayerCells[],
  caption: string,
  describe: (rows: readonly LayerCells[]) => string,
): ShownBundle {
  const more = rows.length - mostTextRows;
  const text = layerTable(rows.slice(0, mostTextRows), caption).text();
  const bundle = {
    'text/html':
      rows.length <= wholeRows ? layerTable(rows, caption).html() : partsHtml(rows, caption, describe),
    'text/plain': more > 0 ? `${text}\n… and ${formatCount(more, 'layer')} more` : text,
  };
  return { bundle, metadata: {} };
}

function partsHtml(
  rows: readonly LayerCells[],
  caption: string,
  describe: (rows: readonly LayerCells[]) => string,
): string {
  const parts = new Map<string, LayerCells[]>();
  for (const row of rows) {
    const name = row.layer.split('.')[0];
    parts.set(name, [...(parts.get(name) ?? []), row]);
  }
  const folded = [...parts].map(([name, inside]) => {
    const cut =
      inside.length > mostRows
        ? `the first ${mostRows} of ${formatCount(inside.length, 'layer')}`
        : undefined;
    return (
      `<details><summary style="cursor:pointer"><b>${escapeHtml(name)}</b>: ${escapeHtml(describe(inside))}</summary>` +
      `${layerTable(inside.slice(0, mostRows), cut).html()}</details>`
    );
  });
  return `<div>${escapeHtml(caption)}</div>\n${folded.join('\n')}`;
}

function layerTable(rows: readonly LayerCells[], caption: string | undefined): Table {
  const count = (value: TableCell): string => (typeof value === 'number' ? formatCount(value) : '');
  const format = { parameters: count, 'not trained': count, 'multiply-adds': count };
  return table(rows, { caption, format });
}
