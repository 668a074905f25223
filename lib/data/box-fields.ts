/** Tells from the names of columns or keys what a table of boxes means. */
import { nearest } from '../tensor/nearest';

/** How four numbers make a box: two corners, a corner and a size, or a centre and a size. */
export type BoxFormat = 'xyxy' | 'xywh' | 'cxcywh';

/** Which field holds what; a field is given by its name in the file. */
export interface BoxFields {
  readonly image?: string;
  /** Four fields, or one that holds all four numbers. */
  readonly box: readonly string[];
  /** Undefined where one field holds the four numbers and its name does not say how. */
  readonly format?: BoxFormat;
  readonly class?: string;
  readonly width?: string;
  readonly height?: string;
  readonly split?: string;
  readonly difficult?: string;
  readonly truncated?: string;
  readonly crowd?: string;
}

/** Names as they are compared: `Bounding Box: x_min` is `xmin`, since a box is what it is all about. */
function plain(name: string): string {
  const letters = name.toLowerCase().replace(/[^a-z0-9]/g, '');
  if (wholeNames.includes(letters)) return letters;
  return letters.replace(/^(boundingbox|bndbox|bbox|box|bb)(?=.)/, '');
}

const imageNames =
  'filename file filepath path image imagename imagepath imagefile imagefilename img imgname imgpath imageid imgid'.split(
    ' ',
  );
const classNames =
  'class classname label labelname category categoryname name object objectclass classid labelid categoryid'.split(
    ' ',
  );
const splitNames = 'split set subset partition usage'.split(' ');

/** Names of four fields, by format; the first set that is there counts. */
const boxNames: readonly (readonly [BoxFormat, string])[] = [
  ['xyxy', 'xmin ymin xmax ymax'],
  ['xyxy', 'minx miny maxx maxy'],
  ['xyxy', 'x1 y1 x2 y2'],
  ['xyxy', 'x0 y0 x1 y1'],
  ['xyxy', 'left top right bottom'],
  ['xyxy', 'xtl ytl xbr ybr'],
  ['xyxy', 'xstart ystart xend yend'],
  ['cxcywh', 'cx cy w h'],
  ['cxcywh', 'cx cy width height'],
  ['cxcywh', 'xc yc w h'],
  ['cxcywh', 'xcenter ycenter width height'],
  ['cxcywh', 'xcenter ycenter w h'],
  ['cxcywh', 'xcentre ycentre width height'],
  ['cxcywh', 'centerx centery width height'],
  ['cxcywh', 'centrex centrey width height'],
  ['xywh', 'x y w h'],
  ['xywh', 'x y width height'],
  ['xywh', 'xmin ymin w h'],
  ['xywh', 'xmin ymin width height'],
  ['xywh', 'left top width height'],
  ['xywh', 'left top w h'],
];
const wholeNames = [
  'bbox',
  'box',
  'boundingbox',
  'bndbox',
  'coordinates',
  'rect',
  'rectangle',
  'xyxy',
  'xywh',
  'cxcywh',
];

/**
 * What the fields of these names mean. Letters' case, spaces, `_`, `-` and a leading `bbox` do not matter.
 * @returns `undefined` where no box can be made of them.
 */
export function findBoxFields(names: readonly string[]): BoxFields | undefined {
  const byPlain = new Map<string, string>();
  for (const name of names) {
    const key = plain(name);
    if (!byPlain.has(key)) byPlain.set(key, name);
  }
  const first = (wanted: readonly string[]): string | undefined => {
    const found = wanted.find((one) => byPlain.has(one));
    return found === undefined ? undefined : byPlain.get(found);
  };
  let box: readonly string[] | undefined;
  let format: BoxFormat | undefined;
  for (const [one, text] of boxNames) {
    const wanted = text.split(' ');
    if (!wanted.every((name) => byPlain.has(name))) continue;
    box = wanted.map((name) => byPlain.get(name) as string);
    format = one;
    break;
  }
  if (box === undefined) {
    const whole = first(wholeNames);
    if (whole === undefined) return undefined;
    box = [whole];
    const key = plain(whole);
    if (key === 'xyxy' || key === 'xywh' || key === 'cxcywh') format = key;
  }
  const taken = new Set(box);
  const size = (short: string): string | undefined => {
    const found = first([`image${short}`, `img${short}`, short]);
    return found !== undefined && taken.has(found) ? undefined : found;
  };
  return {
    box,
    format,
    image: first(imageNames),
    class: first(classNames),
    width: size('width'),
    height: size('height'),
    split: first(splitNames),
    difficult: first(['difficult', 'isdifficult']),
    truncated: first(['truncated', 'istruncated']),
    crowd: first(['iscrowd', 'crowd', 'isgroupof']),
  };
}

/** The sentence about names that make no box. */
export function noBoxFields(names: readonly string[]): string {
  const hint = names.map((name) => nearest(plain(name), ['xmin', 'ymin', 'xmax', 'ymax'])).find(Boolean);
  return (
    `found ${names.slice(0, 12).join(', ') || 'nothing'}; expected fields for the box (xmin, ymin, xmax, ymax; x, y, ` +
    `width, height; cx, cy, w, h; or one "bbox"), for the image (filename, image, path, ...) and the class (class, label, ...)` +
    (hint === undefined ? '' : `. Is one of them meant to be "${hint}"?`)
  );
}
