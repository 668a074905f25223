/** Cells run by the real engine, and questions about a next one: `|` stands for the cursor. */
import fs from 'node:fs';
import path from 'node:path';
import { type Completion, complete, type CompletionItem } from '../../lib/notebook/engine/completion';
import { createExecutor } from '../../lib/notebook/engine/executor';
import { inspect } from '../../lib/notebook/engine/inspection';
import { installResolution } from '../../lib/notebook/engine/resolve';
import type { Language } from '../../lib/notebook/engine/services';
import { projectRoot, temporaryFolder } from './helpers';

export interface Asked {
  language: Language;
  folder: string;
  run(...cells: string[]): Promise<void>;
  complete(marked: string): Completion & { names: string[]; replaced: string };
  item(marked: string, text: string): CompletionItem | undefined;
  plain(marked: string): string | undefined;
  markdown(marked: string): string | undefined;
  close(): void;
}

/** An engine in a folder of its own with these files in it. */
export function openLanguage(files: Record<string, string> = {}): Asked {
  installResolution(projectRoot);
  const folder = path.join(temporaryFolder(), 'notes');
  for (const [name, text] of Object.entries({ 'readme.md': '', ...files })) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), text);
  }
  const executor = createExecutor(folder, () => {});
  const { language } = executor;
  const ask = (marked: string): Completion & { names: string[]; replaced: string } => {
    const { code, position } = cut(marked);
    const found = complete(language, code, position);
    const names = found.items.map(({ text }) => text);
    return { ...found, names, replaced: code.slice(found.start, found.end) };
  };
  const inspected = (marked: string, type: string): string | undefined => {
    const { code, position } = cut(marked);
    return inspect(language, code, position)?.[type] as string | undefined;
  };
  return {
    language,
    folder,
    async run(...cells) {
      for (const [index, cell] of cells.entries()) {
        const done = await executor.execute(cell, `cell-${index}`, new Promise<never>(() => {}));
        if (!('value' in done)) throw new Error(`${cell}\n${JSON.stringify(done)}`);
      }
    },
    complete: ask,
    item: (marked, text) => ask(marked).items.find((item) => item.text === text),
    plain: (marked) => inspected(marked, 'text/plain'),
    markdown: (marked) => inspected(marked, 'text/markdown'),
    close() {
      executor.close();
      fs.rmSync(path.dirname(folder), { recursive: true });
    },
  };
}

function cut(marked: string): { code: string; position: number } {
  const position = marked.indexOf('|');
  if (position < 0) throw new Error(`no cursor in ${marked}`);
  return { code: marked.slice(0, position) + marked.slice(position + 1), position };
}
