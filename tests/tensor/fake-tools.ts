/** Stand-ins for python3 (with pip) and the C++ compiler, as small shell scripts in a folder of their own that is all of PATH. */
import fs from 'node:fs';
import path from 'node:path';
import { writeZip } from './zip';

/** A folder that is thrown away, with a cache and a PATH of its own. */
export interface Workshop {
  folder: string;
  cache: string;
  tools: string;
  /** Every call of a fake tool, a line each. */
  calls(): string[];
  /** Writes `python3`; `download` is what `python3 -m pip download …` runs, with the destination in `$dest`. */
  pip(download: string): void;
  /** Writes `c++`; `compile` is what it runs, with the output file in `$out`. */
  compiler(compile?: string): void;
  /** Writes any other tool. */
  tool(name: string, script: string): void;
  /** The files of a finished preparation. */
  wheel: string;
}

/** Makes the folder, with a small wheel whose libraries are a few bytes. */
export function makeWorkshop(folder: string): Workshop {
  const tools = path.join(folder, 'tools');
  const log = path.join(folder, 'calls.log');
  const wheel = path.join(folder, 'wheels', 'tensorflow_cpu-2.21.0-cp312-cp312-manylinux_2_27_x86_64.whl');
  fs.mkdirSync(tools, { recursive: true });
  fs.writeFileSync(log, '');
  writeZip(wheel, {
    'tensorflow/libtensorflow_cc.so.2': 'the C API',
    'tensorflow/libtensorflow_framework.so.2': 'the framework',
    'tensorflow/include/tensorflow/c/c_api.h': '// a header',
    'tensorflow/python/large.so': 'not wanted',
  });
  const tool = (name: string, script: string): void => {
    const head = `#!/bin/sh\nPATH=/usr/bin:/bin\necho "${name} $*" >> '${log}'\n`;
    fs.writeFileSync(path.join(tools, name), head + script, { mode: 0o755 });
  };
  const argumentAfter = (option: string, variable: string): string =>
    `before=; for word in "$@"; do [ "$before" = ${option} ] && ${variable}=$word; before=$word; done\n`;
  return {
    folder,
    cache: path.join(folder, 'cache'),
    tools,
    wheel,
    tool,
    calls: () => fs.readFileSync(log, 'utf8').split('\n').filter(Boolean),
    pip(download) {
      const version = 'case "$*" in *--version) echo "pip 25"; exit 0;; esac\n';
      tool('python3', version + argumentAfter('--dest', 'dest') + download);
    },
    compiler(compile = 'echo compiled > "$out"\n') {
      tool(
        'c++',
        'case "$*" in --version) echo "c++ 12"; exit 0;; esac\n' + argumentAfter('-o', 'out') + compile,
      );
    },
  };
}

/** The `download` of a pip that works. */
export function goodDownload(workshop: Workshop): string {
  return `mkdir -p "$dest"; cp '${workshop.wheel}' "$dest/"\n`;
}
