/** What a person does with a notebook in JupyterLab, and what there is to see. */
import type { BrowserContext, Locator, Page } from 'playwright-core';
import type { LabServer } from './lab-server';

/** How long anything may take to appear on a machine that has other work. */
export const patience = 90_000;

/** What an output area showed at a moment. */
export interface Sight {
  outputs: number;
  text: string;
}

/** A notebook in a window of its own. */
export class LabPage {
  private constructor(readonly page: Page) {}

  /** Opens a notebook and waits for its kernel. */
  static async open(context: BrowserContext, server: LabServer, notebook: string): Promise<LabPage> {
    const page = await context.newPage();
    page.setDefaultTimeout(patience);
    await page.goto(server.address(notebook));
    const lab = new LabPage(page);
    await lab.toolbar.locator('.jp-KernelName', { hasText: 'detlab' }).waitFor();
    await lab.idle();
    return lab;
  }

  private get toolbar(): Locator {
    return this.page.locator('.jp-NotebookPanel-toolbar');
  }

  /** The name that the notebook's toolbar gives its kernel. */
  async kernelName(): Promise<string> {
    return (await this.toolbar.locator('.jp-KernelName').innerText()).trim();
  }

  /** Waits until the kernel says that it has nothing to do. */
  async idle(): Promise<void> {
    await this.page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').waitFor();
  }

  /** The code cell of that number, from 1. */
  cell(number: number): Cell {
    return new Cell(this.page, this.page.locator('.jp-Notebook .jp-CodeCell').nth(number - 1));
  }

  /** The code cell whose source has that text. */
  cellWith(text: string): Cell {
    const editor = this.page.locator('.jp-InputArea', { hasText: text });
    return new Cell(this.page, this.page.locator('.jp-Notebook .jp-CodeCell', { has: editor }));
  }

  /**
   * Moves the mouse to a place on a chart, from 0 at its left edge to 1 at its right, and gives the tooltip's text. A chart
   * that is still being drawn has none: ask again.
   */
  async tooltipAt(chart: Locator, share: number): Promise<string> {
    const box = await chart.boundingBox();
    if (!box) return '';
    const [x, y] = [box.x + box.width * share, box.y + box.height / 2];
    await this.page.mouse.move(x - 3, y);
    await this.page.mouse.move(x, y);
    return (await this.page.locator('#vg-tooltip-element.visible').allInnerTexts()).join('\n').trim();
  }

  async runAll(): Promise<void> {
    await this.page.getByRole('menuitem', { name: 'Run', exact: true }).click();
    await this.page.getByRole('menuitem', { name: 'Run All Cells', exact: true }).click();
  }

  /** Presses the square in the toolbar. */
  async interrupt(): Promise<void> {
    await this.toolbar.locator('[data-command="notebook:interrupt-kernel"]').click();
  }

  /** Presses the circular arrow in the toolbar, says yes, and waits for the new kernel. */
  async restart(): Promise<void> {
    await this.toolbar.locator('[data-command="notebook:restart-kernel"]').click();
    await this.page.locator('.jp-Dialog').locator('.jp-mod-accept').click();
    await this.page.locator('.jp-Dialog').waitFor({ state: 'detached' });
  }
}

/** A code cell on the screen. */
export class Cell {
  constructor(
    private readonly page: Page,
    readonly locator: Locator,
  ) {}

  /** `[1]:`, `[*]:`, or `[ ]:`. */
  async prompt(): Promise<string> {
    return (await this.locator.locator('.jp-InputPrompt').innerText()).trim();
  }

  async waitForPrompt(pattern: RegExp): Promise<void> {
    await this.locator.locator('.jp-InputPrompt', { hasText: pattern }).waitFor();
  }

  /** Waits until it has run, whatever came of it. */
  async ended(): Promise<void> {
    await this.waitForPrompt(/\[\d+\]/);
  }

  /** Runs it by the keyboard; does not wait for it. */
  async start(): Promise<void> {
    await this.edit();
    await this.page.keyboard.press('Control+Enter');
  }

  /** Runs it and gives what it then shows, as text. */
  async run(): Promise<string> {
    const before = await this.prompt();
    await this.start();
    await this.locator.locator('.jp-InputPrompt', { hasText: /\[\d+\]/, hasNotText: before }).waitFor();
    return this.text();
  }

  /** Puts the cursor at the end of its text. */
  async edit(): Promise<void> {
    await this.locator.locator('.cm-content').click();
    await this.page.keyboard.press('Control+End');
  }

  get outputs(): Locator {
    return this.locator.locator('.jp-OutputArea-child');
  }

  get errors(): Locator {
    return this.locator.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]');
  }

  /** The charts; a screen reader says their descriptions. */
  get charts(): Locator {
    return this.locator.locator('.vega-embed [role="graphics-document"]');
  }

  /** How many charts there are, once all are drawn. */
  async countCharts(): Promise<number> {
    const places = await this.locator.locator('.jp-RenderedVegaLite').all();
    for (const place of places) await place.locator('[role="graphics-document"]').waitFor();
    return places.length;
  }

  get tables(): Locator {
    return this.locator.locator('.jp-RenderedHTML table');
  }

  /** Widths in pixels of the pictures, once all are there; a picture that can't be drawn has none. */
  pictureWidths(): Promise<number[]> {
    return this.locator.locator('.jp-OutputArea img').evaluateAll(async (images: HTMLImageElement[]) => {
      await Promise.all(images.map((image) => image.decode().catch(() => {})));
      return images.map((image) => image.naturalWidth);
    });
  }

  async text(): Promise<string> {
    return (await this.locator.locator('.jp-OutputArea-output').allInnerTexts()).join('\n').trim();
  }

  /** The colour of a word of its source, as the browser draws it. */
  colorOf(word: string): Promise<string> {
    const line = this.locator.locator('.cm-line', { hasText: word }).first();
    return line.evaluate((element, sought) => {
      const words = Array.from(element.querySelectorAll('span')).filter((one) => one.textContent === sought);
      return getComputedStyle(words[0] ?? element).color;
    }, word);
  }

  /** Notes what its outputs show whenever they change. The function that it returns gives the notes so far. */
  async watch(): Promise<() => Promise<Sight[]>> {
    const seen = await this.locator.evaluateHandle((element) => {
      const sights: { outputs: number; text: string }[] = [];
      const note = (): void => {
        const outputs = Array.from(element.querySelectorAll<HTMLElement>('.jp-OutputArea-child'));
        // A chart's description is what a screen reader says of the picture.
        const chart = element.querySelector('[role="graphics-document"]')?.getAttribute('aria-label');
        const text = chart ?? outputs.map((one) => one.innerText).join('\n');
        sights.push({ outputs: outputs.length, text });
      };
      new MutationObserver(note).observe(element, { childList: true, subtree: true, characterData: true });
      return sights;
    });
    return () => seen.jsonValue();
  }
}
