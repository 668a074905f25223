/** The page's text font, as data addresses: the same letters on every machine, and nothing to fetch. */
import fs from 'node:fs';

/** CSS for Inter; the italic only for pages that have some. The empty string where the font package is missing. */
export function pageFontStyle(body: string): string {
  const faces: [string, string][] = [['normal', 'latin-wght-normal']];
  if (/<(em|i|cite|dfn|var)[ >]|ansi-italic/.test(body)) faces.push(['italic', 'latin-wght-italic']);
  return faces
    .map(([style, name]) => {
      let data: string;
      try {
        const file = require.resolve(`@fontsource-variable/inter/files/inter-${name}.woff2`);
        data = fs.readFileSync(file).toString('base64');
      } catch {
        return '';
      }
      return `@font-face{font-family:Inter;font-style:${style};font-weight:100 900;font-display:swap;src:url(data:font/woff2;base64,${data}) format("woff2")}\n`;
    })
    .join('');
}
