/** A stand-in for Python, as a shell script in a folder that is all of PATH: it "makes" environments and "runs" pip. */
import fs from 'node:fs';
import path from 'node:path';

/** A folder that is thrown away, with tools and a cache of its own. */
export interface FakeTools {
  folder: string;
  tools: string;
  cache: string;
  /** Every call of a fake tool, a line each. */
  calls(): string[];
  /** Writes a tool; the script finds the usual programs. */
  tool(name: string, script: string): void;
  /** Writes a `python3` of that version; `pip` is what `python -m pip install …` of its environments runs. */
  python(options?: { version?: string; venv?: boolean; pip?: string; module?: string }): void;
}

/** Makes the folders. */
export function makeTools(folder: string): FakeTools {
  const tools = path.join(folder, 'tools');
  const log = path.join(folder, 'calls.log');
  fs.mkdirSync(tools, { recursive: true });
  fs.writeFileSync(log, '');
  const tool = (name: string, script: string): void => {
    const head = `#!/bin/sh\nPATH=/usr/bin:/bin\necho "${name} $*" >> '${log}'\n`;
    fs.writeFileSync(path.join(tools, name), head + script, { mode: 0o755 });
  };
  return {
    folder,
    tools,
    cache: path.join(folder, 'cache'),
    calls: () => fs.readFileSync(log, 'utf8').split('\n').filter(Boolean),
    tool,
    python({ version = '3.12', venv = true, pip = 'exit 0', module = 'exit 0' } = {}) {
      tool(
        'python3',
        `case "$*" in
  *ensurepip*) echo ${version}; ${venv ? 'echo venv; exit 0' : 'exit 1'};;
  *'-m venv'*) for to in "$@"; do :; done; mkdir -p "$to/bin"; cp "$0" "$to/bin/python"; exit 0;;
  *'import pip'*) exit 0;;
  *'-m pip install'*) ${pip};;
  *) ${module};;
esac\n`,
      );
    },
  };
}
