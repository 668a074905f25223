import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseVocAnnotation, XmlError } from '../../lib/data/voc-annotation';
import { loopback } from './download/loopback';
import { temporaryFolder } from './temporary';

const annotation = (name: string): string =>
  `<annotation><filename>${name}</filename><object><name>${name}</name><bndbox><xmin>1</xmin><ymin>1</ymin>` +
  '<xmax>5</xmax><ymax>5</ymax></bndbox></object></annotation>';

describe('annotations from strangers', () => {
  test('entities never expand: nested, repeated, of attributes', async () => {
    const letters = 'abcdefghij';
    const nested = [...letters].map((name, i) =>
      i === 0 ? '<!ENTITY a "aaaaaaaaaa">' : `<!ENTITY ${name} "${`&${letters[i - 1]};`.repeat(10)}">`,
    );
    const laughs = `<!DOCTYPE annotation [${nested.join('')}]>${annotation('&j;')}`;
    const { filename, objects } = await parseVocAnnotation(laughs);
    expect([filename, objects[0].name]).toEqual(['&j;', '&j;']);
    const blowUp = `<!DOCTYPE annotation [<!ENTITY a "${'a'.repeat(10_000)}">]>${annotation('&a;'.repeat(10_000))}`;
    expect((await parseVocAnnotation(blowUp)).filename).toHaveLength(30_000);
  });

  test('nothing is fetched: files, addresses, other DTDs', async () => {
    const folder = temporaryFolder();
    const secret = path.join(folder, 'secret.txt');
    fs.writeFileSync(secret, 'the secret');
    const { url, requests } = await loopback((_, response) => response.end('<!ENTITY x "fetched">'));
    for (const address of [pathToFileURL(secret).href, secret, url]) {
      for (const type of [
        `[<!ENTITY x SYSTEM "${address}">]`,
        `[<!ENTITY x PUBLIC "-//x" "${address}">]`,
        `[<!ENTITY % p SYSTEM "${address}"> %p;]`,
        `SYSTEM "${address}"`,
      ]) {
        const text = `<!DOCTYPE annotation ${type}>${annotation('&x;')}`;
        const name = await parseVocAnnotation(text).then(
          ({ objects }) => objects[0].name,
          (error: unknown) => {
            expect(error).toBeInstanceOf(XmlError);
            return 'refused';
          },
        );
        expect(['&x;', 'refused']).toContain(name);
      }
    }
    expect(requests).toEqual([]);
  });

  test('characters by number are read, as Python writes them; what is none stays', async () => {
    const { filename } = await parseVocAnnotation(
      annotation('caf&#233; &#x1F600; &amp;#65; &#0; &#x110000; &eacute;'),
    );
    expect(filename).toBe('caf\u00e9 \u{1f600} &#65; &#0; &#x110000; &eacute;');
  });

  test('a file that is cut short says where', async () => {
    await expect(parseVocAnnotation(annotation('x').slice(0, 70))).rejects.toThrow('it ends within <xmin>');
  });

  test.each([
    ['<annotation>\n<object>\n</annotation>', 3],
    ['<annotation>\n<a>&', undefined],
    ['', undefined],
    [`<annotation>${'<'.repeat(100_000)}`, 1],
    [`<annotation>${'<object>'.repeat(10_000)}`, undefined],
    [`<!DOCTYPE a [<!ENTITY a "${'a'.repeat(100_000)}`, undefined],
    ['<annotation><__proto__><x>1</x></__proto__></annotation>', undefined],
  ])('what is broken is told in a short line: %#', async (text, line) => {
    const error = await parseVocAnnotation(text).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    const { message } = error as XmlError;
    expect(message.length).toBeLessThan(250);
    expect(message).not.toContain('\n');
    if (line !== undefined) expect(error).toMatchObject({ line });
  });
});
