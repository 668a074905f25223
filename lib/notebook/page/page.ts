/**
 * Writes what was run as pages to read: `<name>.html` for each notebook, and `index.html` to open first. Every page holds all that
 * it needs and loads nothing.
 */
import fs from 'node:fs';
import path from 'node:path';
import { indexPage } from './index-page';
import { notebookPage, type PageNotebook } from './notebook-page';

export type { PageNotebook, RunStatus } from './notebook-page';

/**
 * Writes the pages of a run beside `file` (`out/index.html`). With one notebook `file` is that notebook's page; with several it
 * lists them. Each page is also `<name>.html`, so that its address stays the same whatever else was run. The same input gives
 * the same bytes. A file is replaced whole or not at all.
 */
export async function writePage(notebooks: readonly PageNotebook[], file: string): Promise<void> {
  const directory = path.resolve(path.dirname(file));
  fs.mkdirSync(directory, { recursive: true });
  const home = notebooks.length > 1 ? path.basename(file) : undefined;
  const titles: string[] = [];
  let only: string | undefined;
  for (const item of notebooks) {
    const page = await notebookPage(item, {
      directory,
      siblings: notebooks,
      ...(home === undefined ? {} : { home: encodeURI(home) }),
    });
    titles.push(page.title);
    const own = path.join(directory, `${item.name}.html`);
    if (own !== path.resolve(file)) writeWhole(own, page.html);
    only = page.html;
  }
  writeWhole(path.resolve(file), notebooks.length === 1 ? only! : await indexPage(notebooks, titles));
}

function writeWhole(file: string, text: string): void {
  const partial = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}.tmp`);
  try {
    fs.writeFileSync(partial, text);
    fs.renameSync(partial, file);
  } catch (error) {
    fs.rmSync(partial, { force: true });
    throw error;
  }
}
