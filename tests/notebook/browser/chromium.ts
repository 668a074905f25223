/** A Chromium that is already on the machine, driven by playwright-core; nothing is downloaded. */
import fs from 'node:fs';
import type { Browser } from 'playwright-core';
import { which } from '../../../lib/tensor/packages';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const places = ['/usr/bin/chromium', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'];

/** `CHROMIUM`, else the first on PATH, else where it usually is. */
export function findChromium(): string | undefined {
  const told = process.env.CHROMIUM;
  if (told) return told;
  for (const name of names) {
    const file = which(name);
    if (file !== undefined) return file;
  }
  return places.find((file) => fs.existsSync(file));
}

/** Starts it without a window and with an empty profile; what it writes goes to `folder`. Returns why it can't, in one line. */
export async function launchChromium(executablePath: string, folder: string): Promise<Browser | string> {
  const { TMPDIR: before } = process.env;
  // Playwright, which looks for it when it is loaded and again now, leaves its own folders behind a browser that fails.
  process.env.TMPDIR = folder;
  try {
    const { chromium } = await import('playwright-core');
    return await chromium.launch({
      executablePath,
      timeout: 120_000,
      args: [
        // The sandbox is refused to root, and can't be had in most containers.
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
  } catch (error) {
    const [first] = (error instanceof Error ? error.message : String(error)).split('\n');
    return `${executablePath} does not start: ${first}`;
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
}
