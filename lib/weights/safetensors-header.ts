/**
 * The head of a safetensors file (https://github.com/huggingface/safetensors): eight bytes that say how long the header is, and the
 * header, a JSON object that gives each tensor's format, shape and place. It comes from strangers: everything is checked before
 * anything is believed.
 */
import { isReservedName, isText, sizeOfShape } from './checks';
import { checkDepth, duplicateKey } from './duplicate-keys';
import { formatOf, readableDtypes } from './dtypes';

/** One tensor of a file, as the header describes it. */
export interface TensorEntry {
  /** As the file has it, such as `F32` or `BF16`. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Bytes from the beginning of the file. */
  readonly begin: number;
  readonly end: number;
}

/** A header that was checked. */
export interface SafetensorsHeader {
  /** In the order of the file's bytes. */
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The longest header, in bytes: the reference implementation's limit. */
export const maximumHeader: number = 100_000_000;

/**
 * The header's length from a file's first eight bytes.
 * @param fileSize bytes in the file.
 */
export function headerLength(start: Uint8Array, fileSize: number): number {
  const length = new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(maximumHeader)) {
    throw new RangeError(
      `the header claims to be ${length} bytes long, the limit is ${maximumHeader}; is this a safetensors file?`,
    );
  }
  if (Number(length) > fileSize - 8) {
    throw new RangeError(
      `the header claims to be ${length} bytes long, but only ${fileSize - 8} follow; the file is cut short or no safetensors file`,
    );
  }
  return Number(length);
}

/**
 * Reads and checks a header.
 * @param bytes the header itself.
 * @param fileSize bytes in the file, of which 8 and the header's stand before the tensors.
 * @throws naming the tensor and what is wrong with it.
 */
export function parseHeader(bytes: Uint8Array, fileSize: number): SafetensorsHeader {
  const header = parseObject(bytes);
  const start = 8 + bytes.length;
  const dataSize = fileSize - start;
  const found: [name: string, entry: TensorEntry][] = [];
  let metadata: Readonly<Record<string, string>> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') metadata = checkedMetadata(value);
    else found.push([checkedName(name), checkedEntry(name, value, start, dataSize)]);
  }
  found.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  checkGapless(found, start, fileSize);
  return { entries: new Map(found), metadata };
}

/** The header, a tensor, its shape. Metadata are no deeper. */
const deepest = 3;

function parseObject(bytes: Uint8Array): Record<string, unknown> {
  if (bytes[0] !== 0x7b) throw new SyntaxError('the header does not begin with "{"');
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    checkDepth(text, deepest);
    value = JSON.parse(text);
  } catch (error) {
    throw new SyntaxError(`the header is no JSON in UTF-8: ${(error as Error).message}`);
  }
  const twice = duplicateKey(text);
  if (twice !== undefined) throw new SyntaxError(`the header has "${twice}" twice`);
  return value as Record<string, unknown>;
}

function checkedName(name: string): string {
  if (isReservedName(name)) throw new RangeError(`a tensor is called "${name}", which is no name for one`);
  return name;
}

function checkedMetadata(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError('the header\'s "__metadata__" is no object of texts');
  }
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') {
      throw new TypeError(`the metadata "${key}" is ${JSON.stringify(text)}; metadata are texts`);
    }
    if (!isText(text)) throw new RangeError(`the metadata "${key}" are no text that UTF-8 has`);
    if (isReservedName(key)) throw new RangeError(`the metadata have "${key}", which is no key for them`);
  }
  return value as Record<string, string>;
}

function checkedEntry(name: string, value: unknown, start: number, dataSize: number): TensorEntry {
  const wrong = (what: string): Error => new RangeError(`tensor "${name}" ${what}`);
  if (typeof value !== 'object' || value === null)
    throw wrong(`is ${JSON.stringify(value)}, not a description`);
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  const format = typeof dtype === 'string' ? formatOf(dtype) : undefined;
  if (!format) {
    throw wrong(`has the unknown dtype ${JSON.stringify(dtype)}; known are ${readableDtypes().join(', ')}`);
  }
  if (!Array.isArray(shape)) throw wrong(`has the shape ${JSON.stringify(shape)}, not a list of sizes`);
  const size = sizeOfShape(shape);
  if (size === undefined || !Number.isSafeInteger(size * format.bytes)) {
    throw wrong(`has the impossible shape ${brief(shape)}`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isPosition)) {
    throw wrong(`has the data_offsets ${brief(offsets)}, not two positions`);
  }
  const [from, to] = offsets as [number, number];
  if (from > to || to > dataSize) {
    throw wrong(
      `lies at bytes ${from} to ${to}, but the file has ${dataSize} bytes of tensors; is it cut short?`,
    );
  }
  if (to - from !== size * format.bytes) {
    throw wrong(
      `has ${to - from} bytes, but its shape [${shape.join(', ')}] in ${dtype as string} takes ${size * format.bytes}`,
    );
  }
  return { dtype: dtype as string, shape: shape as number[], begin: start + from, end: start + to };
}

function isPosition(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Tensors follow one another without a gap, so that no byte is shared and none is hidden. */
function checkGapless(found: readonly [string, TensorEntry][], start: number, fileSize: number): void {
  let end = start;
  let before = '';
  for (const [name, entry] of found) {
    if (entry.begin < end) throw new RangeError(`tensors "${before}" and "${name}" overlap`);
    if (entry.begin > end) {
      throw new RangeError(`${entry.begin - end} bytes before tensor "${name}" belong to no tensor`);
    }
    end = entry.end;
    before = name;
  }
  if (end !== fileSize) throw new RangeError(`the last ${fileSize - end} bytes belong to no tensor`);
}

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
