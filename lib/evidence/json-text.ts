/** JSON as the project's formatter leaves it: keys a line each, numbers side by side, so that results are small and differ line by line. */
import { isRecord } from '../tensor/plain-json';

const lineWidth = 110;

/** The text of plain JSON, with a line end. */
export function jsonText(value: unknown): string {
  return `${write(value, '', 0)}\n`;
}

/** @param used columns that stand before the value on its line, and after it. */
function write(value: unknown, indent: string, used: number): string {
  const deeper = `${indent}  `;
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]';
    const items: unknown[] = value;
    const objects = items.every(isRecord);
    if (!objects || items.length === 1) {
      const line = `[${items.map((item) => write(item, deeper, 0)).join(', ')}]`;
      if (!line.includes('\n') && used + line.length <= lineWidth) return line;
    }
    const body = items.every((item) => typeof item === 'number')
      ? filled(items.map(plain), deeper)
      : items.map((item) => deeper + write(item, deeper, deeper.length + 1)).join(',\n');
    return `[\n${body}\n${indent}]`;
  }
  if (!isRecord(value)) return plain(value);
  const entries = Object.entries(value).filter(([, part]) => part !== undefined);
  if (entries.length === 0) return '{}';
  const lines = entries.map(([key, part]) => {
    const start = `${deeper}${JSON.stringify(key)}: `;
    return start + write(part, deeper, start.length + 1);
  });
  return `{\n${lines.join(',\n')}\n${indent}}`;
}

/** The formatter writes 1e24, not 1e+24. */
function plain(value: unknown): string {
  return typeof value === 'number' ? JSON.stringify(value).replace('e+', 'e') : JSON.stringify(value);
}

/** As many to a line as there is room for. */
function filled(words: readonly string[], indent: string): string {
  const lines: string[] = [];
  let line = '';
  for (const [i, word] of words.entries()) {
    const item = i < words.length - 1 ? `${word},` : word;
    if (line !== '' && indent.length + line.length + 1 + item.length > lineWidth) {
      lines.push(line);
      line = item;
    } else line = line === '' ? item : `${line} ${item}`;
  }
  return [...lines, line].map((text) => indent + text).join('\n');
}
