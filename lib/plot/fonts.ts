/** The fonts that charts and boxes are drawn with. */

type CanvasModule = typeof import('canvas');

/**
 * What text on a canvas is set in. Inter is shipped, because a machine without fonts (a fresh container) would otherwise
 * draw no letters at all. Its alphabets are files of their own, hence families of their own; anything further falls
 * back to the machine's fonts.
 */
export const canvasFont: string =
  'Inter, "Inter Extended", "Inter Greek", "Inter Cyrillic", "Inter Vietnamese", sans-serif';

/** What text in an SVG or in a browser is set in: Inter where it is at hand, else what the system itself uses. */
export const browserFont: string = 'Inter, system-ui, -apple-system, "Segoe UI", sans-serif';

const files: readonly (readonly [family: string, subset: string])[] = [
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

let loaded: Promise<CanvasModule> | undefined;

async function load(): Promise<CanvasModule> {
  const canvas = await import('canvas');
  for (const [family, subset] of files) {
    let file: string;
    try {
      file = fontFile(subset);
    } catch {
      continue; // an installation without the font package still draws, with the machine's fonts
    }
    canvas.GlobalFonts.registerFromPath(file, family);
  }
  return canvas;
}

/** The canvas package with the fonts registered. Loaded at the first call, because most cells draw nothing. */
export function loadCanvas(): Promise<CanvasModule> {
  return (loaded ??= load());
}
