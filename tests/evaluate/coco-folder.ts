/** A folder in COCO's layout with images of noise. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { PNG } from 'pngjs';
import { cocoCategoryIds, type CocoGroundTruthJson } from 'detlab';
import { hashed } from '../weights/hashed';

/** An image to write; boxes are COCO's `[x, y, width, height]`. */
export interface CocoImage {
  readonly id: number;
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly { readonly box: readonly number[]; readonly category: number }[];
}

/**
 * Writes val2017 and returns its annotations.
 * @param names of the categories from 1 on. Default: person and toothbrush by COCO's ids, 1 and 90.
 */
export async function writeCoco(
  folder: string,
  images: readonly CocoImage[],
  names?: readonly string[],
): Promise<CocoGroundTruthJson> {
  const categories = names?.map((name, i) => ({ id: i + 1, name })) ?? [
    { id: 1, name: 'person' },
    { id: cocoCategoryIds[79], name: 'toothbrush' },
  ];
  await fs.mkdir(path.join(folder, 'annotations'), { recursive: true });
  await fs.mkdir(path.join(folder, 'val2017'));
  for (const { id, width, height } of images) {
    const png = new PNG({ width, height });
    png.data.set(hashed(width * height * 4, id, (u) => Math.floor((u + 1) * 128)));
    for (let i = 3; i < png.data.length; i += 4) png.data[i] = 255;
    await fs.writeFile(path.join(folder, 'val2017', `${id}.png`), PNG.sync.write(png));
  }
  const annotations = images.flatMap(({ id, boxes }) =>
    boxes.map(({ box, category }) => ({
      image_id: id,
      category_id: category,
      bbox: box,
      area: box[2] * box[3],
    })),
  );
  const json: CocoGroundTruthJson = {
    images: images.map(({ id, width, height }) => ({ id, width, height, file_name: `${id}.png` })),
    categories,
    annotations: annotations.map((one, i) => ({ ...one, id: i + 1, iscrowd: 0 })),
  };
  await fs.writeFile(path.join(folder, 'annotations', 'instances_val2017.json'), JSON.stringify(json));
  return json;
}
