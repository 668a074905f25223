/** Positions in a text: Jupyter's protocol counts Unicode code points, JavaScript counts UTF-16 units. */

/** The UTF-16 offset of the code point number `position`; one beyond the end is the end. */
export function toUnits(text: string, position: number): number {
  let units = 0;
  for (let n = 0; n < position && units < text.length; n++) units += isPair(text, units) ? 2 : 1;
  return units;
}

/** How many code points stand before the UTF-16 offset `units`. */
export function toCodePoints(text: string, units: number): number {
  let points = 0;
  for (let at = 0; at < units && at < text.length; points++) at += isPair(text, at) ? 2 : 1;
  return points;
}

function isPair(text: string, at: number): boolean {
  return text.codePointAt(at)! > 0xffff;
}
