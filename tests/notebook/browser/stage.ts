/** A JupyterLab, a browser and a folder of notebooks, which are built once for a file of tests. */
import type { Browser, BrowserContext } from 'playwright-core';
import type { PythonEnvironment } from '../../../lib/notebook/jupyter/python-environment';
import { writeCells } from '../helpers';
import { Desk } from '../jupyter/python-tools';
import { launchChromium } from './chromium';
import { LabPage } from './lab-page';
import { LabServer } from './lab-server';

export class Stage {
  private constructor(
    private readonly desk: Desk,
    private readonly browser: Browser,
    private readonly context: BrowserContext,
    private readonly server: LabServer,
  ) {}

  /** Starts everything; or says in one line why the browser does not start. */
  static async build(tools: PythonEnvironment, chromium: string): Promise<Stage | string> {
    const desk = new Desk(tools);
    let browser: Browser | string | undefined;
    try {
      browser = await launchChromium(chromium, desk.home);
      if (typeof browser !== 'string') {
        const context = await browser.newContext({ viewport: { width: 1300, height: 1500 } });
        return new Stage(desk, browser, context, await LabServer.start(desk));
      }
    } catch (error) {
      if (typeof browser === 'object') await browser.close();
      desk.remove();
      throw error;
    }
    desk.remove();
    return browser;
  }

  /** The path of a notebook. */
  file(name: string): string {
    return this.desk.file(`${name}.ipynb`);
  }

  /** Opens a notebook; one that is not there yet is written with these code cells, after a title. */
  async open(name: string, cells?: readonly string[]): Promise<LabPage> {
    if (cells) writeCells(this.desk.folder, name, cells);
    return LabPage.open(this.context, this.server, `${name}.ipynb`);
  }

  /** Closes what a test has opened. */
  async clear(): Promise<void> {
    await Promise.all(this.context.pages().map((page) => page.close()));
    await this.server.shutDownKernels();
  }

  /** Presses Ctrl-C where JupyterLab runs. Returns its exit code. */
  stopLab(): Promise<number | null> {
    return this.server.stop();
  }

  async remove(): Promise<void> {
    await this.browser.close();
    await this.server.stop();
    this.desk.remove();
  }
}
