/** Where the Open Images detector's files come from: a given path, the cache, or npm, and what is said where none has them. */
import fs from 'node:fs';
import os from 'node:os';
import type { Socket } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { loadOpenImagesSsd, openImagesFiles, openImagesPackage } from 'detlab';
import { packageDirectory } from '../../../lib/tensor/packages';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-open-images-'));
  vi.stubEnv('DETLAB_CACHE', path.join(folder, 'cache'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  fs.rmSync(folder, { recursive: true, force: true });
});

/** A package with other content, laid out as the real one. */
function fakePackage(labels: string, model: string): string {
  const to = path.join(folder, 'package');
  fs.mkdirSync(to, { recursive: true });
  const files = [
    { filename: '/object_detection_oidv4_labelmap.txt', start: 0, end: labels.length },
    { filename: '/deep/down/network.tflite', start: labels.length, end: labels.length + model.length },
  ];
  fs.writeFileSync(path.join(to, 'objectron_solution_packed_assets.data'), labels + model);
  fs.writeFileSync(
    path.join(to, 'objectron_solution_packed_assets_loader.js'),
    `loadPackage({"files": ${JSON.stringify(files)}, "remote_package_size": 1});`,
  );
  return to;
}

describe('a given path', () => {
  test('the package’s folder: its files are taken out of the bundle, licence and attribution beside them', async () => {
    const file = fakePackage('???\nCat\nDog\n', 'bytes');
    const { model, classNames } = await openImagesFiles({ file });
    expect(classNames).toEqual(['Cat', 'Dog']);
    expect(fs.readFileSync(model, 'utf8')).toBe('bytes');
    expect(fs.readFileSync(path.join(path.dirname(model), 'LICENSE'), 'utf8')).toMatch(/Apache License/);
    expect(fs.readFileSync(path.join(path.dirname(model), 'NOTICE'), 'utf8')).toMatch(/MediaPipe Authors/);
    expect(await openImagesFiles({ file })).toEqual({ model, classNames });
    // Other content is another network.
    fakePackage('???\nCow\n', 'other bytes');
    expect((await openImagesFiles({ file })).classNames).toEqual(['Cow']);
  });

  test('a .tflite file with its class names beside it', async () => {
    const file = path.join(folder, 'mine.tflite');
    fs.writeFileSync(file, 'no flatbuffer');
    await expect(openImagesFiles({ file })).rejects.toThrow(
      /mine\.tflite has no class names: .*labelmap\.txt/,
    );
    fs.writeFileSync(path.join(folder, 'labelmap.txt'), '???\r\nCat\r\n');
    expect(await openImagesFiles({ file })).toEqual({ model: file, classNames: ['Cat'] });
    await expect(loadOpenImagesSsd({ file })).rejects.toThrow(/mine\.tflite: it is no TFLite file/);
  });

  test('says what is wrong with others', async () => {
    await expect(openImagesFiles({ file: path.join(folder, 'none') })).rejects.toThrow(
      /There is no .*none; give the package's folder/,
    );
    await expect(openImagesFiles({ file: folder })).rejects.toThrow(
      /is not the package @mediapipe\/objectron: it has no/,
    );
    const file = fakePackage('???\nCat\n', 'bytes');
    fs.truncateSync(path.join(file, 'objectron_solution_packed_assets.data'), 9);
    await expect(openImagesFiles({ file })).rejects.toThrow(/holds no file that ends in \.tflite/);
  });
});

// Where the package is installed, npm is not asked.
describe.skipIf(packageDirectory(openImagesPackage.name) !== undefined)('npm', () => {
  test('out of reach: one error that says so and what to do, remembered for the next time', async () => {
    vi.stubEnv('npm_config_registry', 'http://127.0.0.1:9');
    // A damaged copy and what a killed process left are of no use.
    const root = path.join(folder, 'cache', 'open-images');
    for (const name of [openImagesPackage.version, '.partial-1-1'])
      fs.mkdirSync(path.join(root, name), { recursive: true });
    fs.writeFileSync(path.join(root, openImagesPackage.version, 'model.tflite'), 'damaged');
    const lines: string[] = [];
    const log = (line: string): void => void lines.push(line);
    const wanted =
      /The Open Images detector can't be had: npm says: .*ECONNREFUSED.*npm install --no-save @mediapipe\/objectron@/;
    await expect(openImagesFiles({ log })).rejects.toThrow(wanted);
    expect(lines).toEqual(["downloading the Open Images detector (npm's @mediapipe/objectron)"]);
    await expect(openImagesFiles({ log })).rejects.toThrow(/ECONNREFUSED.* \(tried a moment ago\)/);
    expect(lines).toHaveLength(1);
    await expect(openImagesFiles({ log, force: true })).rejects.toThrow(wanted);
    expect(lines).toHaveLength(2);
    expect(fs.readdirSync(root).sort()).toEqual([openImagesPackage.version, 'failed.json']);
  }, 120_000);

  test('that does not answer is given up in the time that is granted', async () => {
    const { createServer } = await import('node:net');
    const sockets: Socket[] = [];
    const silent = createServer((socket) => {
      sockets.push(socket.on('error', () => undefined));
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as { port: number };
    vi.stubEnv('npm_config_registry', `http://127.0.0.1:${port}`);
    const wanted = /took longer than 2 s \(\d+ kB came\)/;
    await expect(openImagesFiles({ log: () => undefined, timeoutSeconds: 2 })).rejects.toThrow(wanted);
    // what is never read does not notice that the other side has gone, and would hold the server open
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => silent.close(resolve));
  }, 120_000);
});
