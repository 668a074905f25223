/** Reads what an image file says about itself (format, size, EXIF orientation) without decoding its pixels. */

/** What the first bytes of a JPEG or PNG file tell. */
export interface ImageHeader {
  readonly format: 'jpeg' | 'png';
  /** Size of the stored pixel grid, before any EXIF orientation. */
  readonly width: number;
  readonly height: number;
  /** EXIF orientation, 1 to 8; 1 (as stored) when the file does not say. */
  readonly orientation: number;
}

/**
 * Parses the header of a JPEG or PNG.
 * @param bytes the file, or enough of its beginning to reach the size (JPEG metadata can be long).
 * @throws with the reason when the bytes are neither format or end too early.
 */
export function parseImageHeader(bytes: Uint8Array): ImageHeader {
  if (bytes.length === 0) throw new Error('the file is empty');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length >= 24 && view.getUint32(0) === 0x89504e47) {
    return { format: 'png', width: view.getUint32(16), height: view.getUint32(20), orientation: 1 };
  }
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return parseJpeg(view);
  throw new Error(`neither JPEG nor PNG (it starts with ${describeStart(bytes)})`);
}

/** Walks the segments up to the frame header, picking up the orientation on the way. */
function parseJpeg(view: DataView): ImageHeader {
  let orientation = 1;
  let at = 2;
  while (at + 4 <= view.byteLength) {
    if (view.getUint8(at) !== 0xff) throw new Error(`a JPEG segment was expected at byte ${at}`);
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) {
      at++; // fill byte
      continue;
    }
    const length = view.getUint16(at + 2);
    // Start of frame: C0-CF without the Huffman (C4), reserved (C8) and arithmetic (CC) tables.
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      if (at + 9 > view.byteLength) break;
      return { format: 'jpeg', width: view.getUint16(at + 7), height: view.getUint16(at + 5), orientation };
    }
    if (marker === 0xe1) orientation = exifOrientation(view, at + 4, at + 2 + length) ?? orientation;
    at += 2 + length;
  }
  throw new Error('the JPEG ends before its frame header');
}

/** Orientation out of an APP1 segment between two offsets, or `undefined` when it holds none. */
function exifOrientation(view: DataView, start: number, end: number): number | undefined {
  const stop = Math.min(end, view.byteLength);
  if (stop - start < 14 || view.getUint32(start) !== 0x45786966) return undefined; // "Exif"
  const tiff = start + 6;
  const little = view.getUint16(tiff) === 0x4949;
  const directory = tiff + view.getUint32(tiff + 4, little);
  if (directory + 2 > stop) return undefined;
  const entries = view.getUint16(directory, little);
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + i * 12;
    if (entry + 12 > stop) return undefined;
    if (view.getUint16(entry, little) !== 0x0112) continue;
    const value = view.getUint16(entry + 8, little);
    return value >= 1 && value <= 8 ? value : undefined;
  }
  return undefined;
}

function describeStart(bytes: Uint8Array): string {
  return [...bytes.subarray(0, 4)].map((b) => b.toString(16).padStart(2, '0')).join(' ');
}
