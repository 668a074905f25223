/** Class names of YOLO data sets: a list, a name a line, or the `names` of a YAML file. */

/**
 * The names in label order; `undefined` where the file holds none. Of YAML it understands what such files hold: `names:` with a
 * list in brackets, a list of `- name` lines, a map in braces, or lines of `number: name`.
 */
export function parseYoloNames(file: string, text: string): string[] | undefined {
  if (!/\.ya?ml$/i.test(file)) {
    const lines = text.split(/\r?\n/).map((line) => line.trim());
    while (lines.at(-1) === '') lines.pop();
    return lines.length > 0 ? lines : undefined;
  }
  const lines = text.split(/\r?\n/);
  const at = lines.findIndex((line) => /^names\s*:/.test(line));
  if (at < 0) return undefined;
  let inline = lines[at].replace(/^names\s*:\s*/, '');
  if (/^[[{]/.test(inline)) {
    // A list may go on over several lines, up to its closing bracket.
    for (let next = at + 1; next < lines.length && !/[\]}]\s*(#.*)?$/.test(inline); next++)
      inline += ` ${lines[next]}`;
    const inner = inline
      .replace(/#[^'"\]}]*$/, '')
      .trim()
      .slice(1, -1);
    return named(splitList(inner));
  }
  const items: string[] = [];
  for (const line of lines.slice(at + 1)) {
    const content = line.replace(/\s#.*$/, '').trimEnd();
    if (content.trim() === '' || content.trim().startsWith('#')) continue;
    const dash = /^\s*-\s+(.*)$/.exec(content);
    if (dash) items.push(dash[1]);
    else if (/^\s+\S/.test(content)) items.push(content.trim());
    else break;
  }
  return named(items);
}

/** At commas outside quotes. */
function splitList(text: string): string[] {
  return (text.match(/(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,'"])+/g) ?? []).map((item) => item.trim());
}

/** Names, placed by their numbers where they have them (`0: person`). */
function named(items: readonly string[]): string[] | undefined {
  const names: string[] = [];
  items
    .filter((item) => item !== '')
    .forEach((item, index) => {
      const pair = /^["']?(\d{1,5})["']?\s*:\s*(.*)$/.exec(item);
      names[pair ? Number(pair[1]) : index] = unquote(pair ? pair[2] : item);
    });
  for (let i = 0; i < names.length; i++) names[i] ??= `class ${i}`;
  return names.length > 0 ? names : undefined;
}

function unquote(text: string): string {
  const trimmed = text.trim();
  if (/^'.*'$/s.test(trimmed)) return trimmed.slice(1, -1).replaceAll("''", "'");
  if (/^".*"$/s.test(trimmed)) return trimmed.slice(1, -1).replace(/\\(.)/g, '$1');
  return trimmed;
}
