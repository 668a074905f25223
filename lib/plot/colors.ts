/** Colours: eight for the series of a chart, twenty for the classes of a data set. */

/**
 * Colours of the series of a chart: the set of Okabe and Ito (2008) for readers of every colour vision, with its black as a
 * dark grey, and a dark red for its yellow, which would not be seen on white.
 */
export const chartColors: readonly string[] = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#e69f00',
  '#56b4e9',
  '#4d4d4d',
  '#870f0f',
];

/**
 * Colours of classes 0 to 19, on photographs. Found by maximising the least CIEDE2000 distance between any two (20.7)
 * among colours that are neither grey, nor near black, nor near white; the first ones are the most usual names.
 */
export const classColors: readonly string[] = [
  '#e6194b',
  '#0082ff',
  '#3cb44b',
  '#ffaa00',
  '#a86cfc',
  '#48fcd8',
  '#fc60b4',
  '#fc6000',
  '#90fc00',
  '#6cccfc',
  '#844878',
  '#a8a800',
  '#fca89c',
  '#007854',
  '#003cfc',
  '#9c6c18',
  '#e4c0fc',
  '#00a8a8',
  '#a83000',
  '#546000',
];

/** A hex colour from hue (degrees), saturation and lightness (both in [0, 1]). */
function hslToHex(hue: number, saturation: number, lightness: number): string {
  const a = saturation * Math.min(lightness, 1 - lightness);
  const channel = (n: number): string => {
    const k = (n + hue / 30) % 12;
    const value = lightness - a * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(255 * value)
      .toString(16)
      .padStart(2, '0');
  };
  return `#${channel(0)}${channel(8)}${channel(4)}`;
}

/**
 * The colour of a class, always the same for the same id, as `#rrggbb`. Ids from 20 on (COCO has 80) walk around the hues
 * by the golden angle; no eye tells 80 colours apart, the label does.
 */
export function classColor(label: number): string {
  if (!Number.isInteger(label) || label < 0) {
    throw new RangeError(`classColor: class ids are integers from 0, got ${label}`);
  }
  if (label < classColors.length) return classColors[label];
  const n = label - classColors.length;
  return hslToHex((n * 137.508) % 360, 0.75, [0.5, 0.65, 0.38][n % 3]);
}

/** Red, green and blue in [0, 255] of `#rrggbb`. */
export function hexToRgb(color: string): [red: number, green: number, blue: number] {
  const match = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(color);
  if (!match) throw new Error(`a colour is written #rrggbb here, got "${color}"`);
  return [parseInt(match[1], 16), parseInt(match[2], 16), parseInt(match[3], 16)];
}

/** Relative luminance in [0, 1] (WCAG 2.2, "relative luminance"). */
export function luminance(color: string): number {
  const [r, g, b] = hexToRgb(color).map((v) => {
    const c = v / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Contrast ratio of two colours, from 1 to 21 (WCAG 2.2, "contrast ratio"); text needs 4.5. */
export function contrastRatio(a: string, b: string): number {
  const [high, low] = [luminance(a), luminance(b)].sort((p, q) => q - p);
  return (high + 0.05) / (low + 0.05);
}

/**
 * Black or white text for a background, with a contrast of at least 4.5. White where both would do: it reads better on strong
 * colours than the ratio says.
 */
export function textColorOn(background: string): '#000000' | '#ffffff' {
  return contrastRatio(background, '#ffffff') >= 4.5 ? '#ffffff' : '#000000';
}
