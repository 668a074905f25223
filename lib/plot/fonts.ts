/** The fonts that charts and boxes are drawn with. */

/**
 * What text on a canvas is set in. Inter is shipped, because a machine without fonts (a fresh container) would otherwise
 * draw no letters at all. Its alphabets are files of their own, hence families of their own; anything further falls
 * back to the machine's fonts.
 */
export const canvasFont: string =
  'Inter, "Inter Extended", "Inter Greek", "Inter Cyrillic", "Inter Vietnamese", sans-serif';

/** What text in an SVG or in a browser is set in: Inter where it is at hand, else what the system itself uses. */
export const browserFont: string = 'Inter, system-ui, -apple-system, "Segoe UI", sans-serif';

/** The shipped families and the alphabet that each covers. */
export const fontFamilies: readonly (readonly [family: string, subset: string])[] = [
  ['Inter', 'latin'],
  ['Inter Extended', 'latin-ext'],
  ['Inter Greek', 'greek'],
  ['Inter Cyrillic', 'cyrillic'],
  ['Inter Vietnamese', 'vietnamese'],
];

/** Where a shipped font file is; `subset` is one of latin, latin-ext, greek, cyrillic, vietnamese. Weights 100 to 900. */
export function fontFile(subset: string): string {
  return require.resolve(`@fontsource-variable/inter/files/inter-${subset}-wght-normal.woff2`);
}
