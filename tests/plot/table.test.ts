import { describe, expect, it } from 'vitest';
import { bundleOf } from '../../lib/plot/display';
import { table } from '../../lib/plot/table';

const rows = [
  { method: 'SSD <from scratch>', mAP: 42.25, steps: 400 },
  { method: 'with "BN" & more', mAP: 60, steps: 12000, note: 'a|b' },
];

describe('table', () => {
  it('writes HTML that is escaped, with numbers at the right', () => {
    const html = table(rows, { caption: 'a < b' }).html();
    expect(html).toContain('<td style="text-align:left">SSD &lt;from scratch&gt;</td>');
    expect(html).toContain('with &quot;BN&quot; &amp; more');
    expect(html).toContain('<td style="text-align:right">60.00</td>');
    expect(html).toContain('<td style="text-align:right">12000</td>');
    expect(html).toContain('a &lt; b</caption>');
    expect(html).toContain('<td style="text-align:left"></td>');
    expect(html).not.toMatch(/color|background|border/);
    expect(html.match(/<tr>/g)).toHaveLength(3);
  });

  it('keeps whole numbers whole, and short cells on one line beside long ones', () => {
    const text = 'a sentence that is longer than a name';
    const html = table([{ id: 12_345_678, when: '1970-01-01 at noon', text }], { caption: 'ids' }).html();
    expect(html).toContain('<td style="text-align:right;white-space:nowrap">12345678</td>');
    expect(html).toContain('<td style="text-align:left;white-space:nowrap">1970-01-01 at noon</td>');
    expect(html).toContain(`<td style="text-align:left">${text}</td>`);
    expect(html).toContain('caption-side:top;white-space:nowrap">ids</caption>');
    expect(table([{ x: 1.5 }, { x: 12_345_678 }]).text()).toContain('1.23e+7');
  });

  it('aligns plain text', () => {
    expect(table(rows, { columns: ['method', 'mAP'], titles: { mAP: 'mAP (%)' } }).text()).toBe(
      [
        'method              mAP (%)',
        '──────────────────  ───────',
        'SSD <from scratch>    42.25',
        'with "BN" & more      60.00',
      ].join('\n'),
    );
  });

  it('writes Markdown that is escaped', () => {
    expect(
      table(
        [
          ['a|b', 1],
          ['*c*\nd', -2.5],
        ],
        { columns: ['name', 'x_1'] },
      ).markdown(),
    ).toBe(['| name | x\\_1 |', '| :-- | --: |', '| a\\|b | 1.0 |', '| \\*c\\* d | -2.5 |'].join('\n'));
  });

  it('takes formats and alignment, and writes what is empty or not finite', () => {
    const text = table([{ a: 0.5, b: null, c: NaN, d: true }], {
      format: { a: (value) => `${Number(value) * 100}%` },
      align: { d: 'center' },
    }).text();
    expect(text.split('\n')[2]).toBe('50%     NaN  true');
  });

  it('bundles all three forms, and shows headings without rows', async () => {
    const shown = await bundleOf(table([], { columns: ['a', 'b'] }));
    expect(Object.keys(shown?.bundle ?? {})).toEqual(['text/html', 'text/markdown', 'text/plain']);
    expect(shown?.bundle['text/plain']).toBe('a  b\n─  ─');
  });

  it('names the column that is wrong', () => {
    expect(() => table(rows, { columns: ['map'] })).toThrow(/"map".*method, mAP, steps, note/);
    expect(() => table([[1, 2, 3]], { columns: ['a', 'b'] })).toThrow(/3 cells.*2 columns/);
  });
});
