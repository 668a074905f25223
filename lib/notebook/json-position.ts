/**
 * Where a text stops being JSON. `JSON.parse` gives a position in some of its messages and none in others, depending on
 * the engine's version, and a person with a broken notebook needs the line.
 */

/** A place in a text, counted from 1 as editors do, and what was found wrong there. */
export interface JsonProblem {
  line: number;
  column: number;
  message: string;
}

const token =
  /[{}[\],:]|"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const blank = /[ \t\r\n]*/y;

/** The first place where `text` breaks the grammar of JSON, or `undefined` when it is JSON. */
export function findJsonProblem(text: string): JsonProblem | undefined {
  let at = 0;
  // What may come next; objects and arrays that are open are on the stack.
  let expected: 'value' | 'value or ]' | 'name or }' | 'name' | ':' | ', or end' = 'value';
  const open: ('{' | '[')[] = [];

  for (;;) {
    blank.lastIndex = at;
    at += blank.exec(text)![0].length;
    if (at >= text.length) {
      if (open.length === 0 && expected === ', or end') return undefined;
      return problem(text, at, 'the file ends too early');
    }
    if (open.length === 0 && expected === ', or end')
      return problem(text, at, 'text after the end of the JSON value');
    token.lastIndex = at;
    const found = token.exec(text)?.[0];
    if (found === undefined) return problem(text, at, badToken(text, at));

    const inObject = open[open.length - 1] === '{';
    const closes = found === '}' || found === ']';
    if (closes) {
      const matches = found === (inObject ? '}' : ']') && open.length > 0;
      const allowed = expected === ', or end' || expected === (inObject ? 'name or }' : 'value or ]');
      if (!matches || !allowed) return problem(text, at, `unexpected "${found}"`);
      open.pop();
      expected = ', or end';
    } else if (expected === ', or end') {
      if (found !== ',')
        return problem(text, at, `"," or "${inObject ? '}' : ']'}" expected before ${excerpt(found)}`);
      expected = inObject ? 'name' : 'value';
    } else if (expected === ':') {
      if (found !== ':') return problem(text, at, `":" expected before ${excerpt(found)}`);
      expected = 'value';
    } else if (expected === 'name' || expected === 'name or }') {
      if (!found.startsWith('"'))
        return problem(text, at, `a name in double quotes expected before ${excerpt(found)}`);
      expected = ':';
    } else {
      if (found === ',' || found === ':') return problem(text, at, `a value expected before "${found}"`);
      if (found === '{' || found === '[') {
        open.push(found);
        expected = found === '{' ? 'name or }' : 'value or ]';
      } else expected = ', or end';
    }
    at += found.length;
  }
}

function badToken(text: string, at: number): string {
  if (text[at] === '"') return 'a string that is not closed on its line, or has a bad escape';
  if (text.startsWith('<<<<<<<', at) || text.startsWith('>>>>>>>', at) || text.startsWith('=======', at)) {
    return 'a merge conflict was left in the file';
  }
  return `unexpected ${excerpt(text.slice(at, at + 20).split('\n')[0]!)}`;
}

function excerpt(text: string): string {
  const short = text.length > 24 ? `${text.slice(0, 24)}…` : text;
  return text.startsWith('"') ? short : JSON.stringify(short);
}

function problem(text: string, at: number, message: string): JsonProblem {
  const before = text.slice(0, at);
  const line = before.split('\n').length;
  return { line, column: at - before.lastIndexOf('\n'), message };
}
