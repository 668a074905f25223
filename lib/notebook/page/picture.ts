/** How large a picture is shown, so that a page keeps its shape while pictures are decoded; and small versions of them. */

/** CSS pixels. */
export interface PictureSize {
  width: number;
  height: number;
}

/** The size from the output's metadata (sharp pictures are shown smaller than they are), else the file's own. */
export function pictureSize(
  mime: string,
  value: string,
  metadata: Record<string, unknown>,
): PictureSize | undefined {
  const own = mime === 'image/svg+xml' ? svgSize(value) : mime === 'image/png' ? pngSize(value) : undefined;
  const told = (metadata[mime] ?? {}) as Partial<PictureSize>;
  const width = positive(told.width);
  const height = positive(told.height);
  if (width !== undefined && height !== undefined) return { width, height };
  if (width !== undefined && own) return { width, height: Math.round((width * own.height) / own.width) };
  if (height !== undefined && own) return { width: Math.round((height * own.width) / own.height), height };
  return own;
}

function pngSize(base64: string): PictureSize | undefined {
  const head = Buffer.from(base64.slice(0, 64).replace(/\s/g, ''), 'base64');
  if (head.length < 24 || head.toString('latin1', 1, 4) !== 'PNG') return undefined;
  return { width: head.readUInt32BE(16), height: head.readUInt32BE(20) };
}

function svgSize(svg: string): PictureSize | undefined {
  const tag = /<svg\b[^>]*>/.exec(svg)?.[0] ?? '';
  const read = (name: string): number | undefined =>
    positive(Number(new RegExp(`\\s${name}="([\\d.]+)(?:px)?"`).exec(tag)?.[1]));
  const width = read('width');
  const height = read('height');
  return width !== undefined && height !== undefined ? { width, height } : undefined;
}

function positive(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.round(value) : undefined;
}

/** A picture reduced to a width, as the data address of a JPEG on white; the picture itself when it cannot be read. */
export async function thumbnail(bytes: Buffer, mime: string, width: number): Promise<string> {
  const asIs = `data:${mime};base64,${bytes.toString('base64')}`;
  try {
    const { createCanvas, loadImage } = await import('canvas');
    const image = await loadImage(bytes);
    const scale = Math.min(1, width / image.width);
    const canvas = createCanvas(Math.round(image.width * scale), Math.round(image.height * scale));
    const context = canvas.getContext('2d');
    context.fillStyle = '#ffffff';
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    const small = canvas.toBuffer('image/jpeg', 82);
    return small.length < bytes.length ? `data:image/jpeg;base64,${small.toString('base64')}` : asIs;
  } catch {
    return asIs;
  }
}
