/** The canvas that charts and pictures are drawn on. Apart from fonts.ts, whose types a notebook cell reads quickly. */
import type * as Canvas from 'canvas';
import { fontFamilies, fontFile } from './fonts';

let loaded: Promise<typeof Canvas> | undefined;

async function load(): Promise<typeof Canvas> {
  const canvas = await import('canvas');
  for (const [family, subset] of fontFamilies) {
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
export function loadCanvas(): Promise<typeof Canvas> {
  return (loaded ??= load());
}
