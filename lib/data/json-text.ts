/** JSON as programs write it, with the numbers that JSON does not have. */

/** Python's names for numbers that JSON does not have, outside strings. */
const notNumbers = /"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g;

/** Parses; `NaN`, `Infinity` and `-Infinity` become texts of that name. Tells why where it can't, and returns `undefined`. */
export function parseJsonText(text: string, onBroken: (reason: string) => void): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    try {
      return JSON.parse(text.replace(notNumbers, (found) => (found.startsWith('"') ? found : `"${found}"`)));
    } catch {
      onBroken((error as Error).message.slice(0, 200));
      return undefined;
    }
  }
}
