/** Reads TFLite files: the graph as plain objects, and the values of its constants. Nothing is run. */
import fs from 'node:fs/promises';
import { sizeOfShape } from '../checks';
import { formatOf } from '../dtypes';
import type { HostTensor } from '../host-tensor';
import { FlatBuffer, type FlatTable } from './flatbuffer';
import { operatorName, operatorOptions, type TfliteOptions } from './operators';

/** A tensor of a graph: a constant, or what an operator makes. */
export interface TfliteTensor {
  /** Its number in the graph. */
  readonly index: number;
  readonly name: string;
  readonly shape: readonly number[];
  /** The number format by safetensors' names: `F32`, `F16`, `I32`, … */
  readonly dtype: string;
  /** Whether the file has its values. */
  readonly constant: boolean;
}

/** One step of a graph. */
export interface TfliteOperator {
  /** Its place in the order of execution. */
  readonly index: number;
  /** The schema's name: `CONV_2D`, `ADD`, …; `CUSTOM:name` for one that the file's makers invented. */
  readonly type: string;
  /** Numbers of tensors; -1 for one that is left out. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly options: TfliteOptions;
}

/** A graph: its operators in the order of execution. */
export interface TfliteGraph {
  readonly name: string;
  readonly tensors: readonly TfliteTensor[];
  readonly operators: readonly TfliteOperator[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /**
   * A constant's values: floats of any format as float32 (half precision is widened exactly), integers and booleans as int32.
   * @throws RangeError naming the tensor where it is none, or has a format that can't be read.
   */
  values(index: number): HostTensor;
}

/** What a TFLite file holds. */
export interface TfliteModel {
  readonly description: string;
  /** The first one is the network. */
  readonly graphs: readonly TfliteGraph[];
}

/** By the schema's numbers. */
const dtypes = [
  'F32', 'F16', 'I32', 'U8', 'I64', 'STRING', 'BOOL', 'I16', 'C64', 'I8', 'F64', 'C128', 'U64', 'RESOURCE', 'VARIANT', 'U32', 'U16',
]; // prettier-ignore

/**
 * Describes a TFLite model. The bytes are kept: constants are read from them when they are asked for.
 * @param name what errors call the file.
 * @throws RangeError naming the file and the place: no TFLite file, another version of the schema, cut short, offsets that lead out of
 *   it, parts that lie over one another, impossible shapes, constants that don't fill theirs, operators that use what is not there (yet).
 */
export function parseTflite(bytes: Uint8Array, name: string = 'TFLite'): TfliteModel {
  try {
    return parse(bytes);
  } catch (error) {
    throw new RangeError(`${name}: ${(error as Error).message}`, { cause: error });
  }
}

/** Reads and describes a `.tflite` file. @throws as `parseTflite`, and the system's errors. */
export async function readTflite(file: string): Promise<TfliteModel> {
  return parseTflite(await fs.readFile(file), file);
}

function parse(bytes: Uint8Array): TfliteModel {
  if (bytes.length < 8 || Buffer.from(bytes.subarray(4, 8)).toString('latin1') !== 'TFL3') {
    throw new RangeError('it is no TFLite file, whose bytes 4 to 7 are "TFL3"');
  }
  const model = new FlatBuffer(bytes).root();
  const version = model.uint32(0);
  if (version !== 3) throw new RangeError(`it has version ${version} of the schema; this reads version 3`);
  const codes = model.tables(1, 'the list of operator codes').map((code) => {
    // Codes up to 126 stand in the old field of one byte, larger ones in the new field.
    const number = Math.max(code.int8(0), code.int32(3));
    const type = operatorName(number);
    return type === 'CUSTOM' ? `CUSTOM:${code.text(1, "a custom operator's name")}` : type;
  });
  const buffers = model.tables(4, 'the list of buffers').map((buffer, index) => {
    if (buffer.uint64(1) > 1n)
      throw new RangeError(`buffer ${index} lies behind the tables, as in files over 2 GB`);
    return buffer.bytes(0, `buffer ${index}`);
  });
  const graphs = model
    .tables(2, 'the list of graphs')
    .map((graph, index) => readGraph(graph, `graph ${index}`, codes, buffers));
  if (graphs.length === 0) throw new RangeError('it has no graph');
  return { description: model.text(3, 'the description'), graphs };
}

function readGraph(
  table: FlatTable,
  where: string,
  codes: readonly string[],
  buffers: readonly (Uint8Array | undefined)[],
): TfliteGraph {
  const contents: (Uint8Array | undefined)[] = [];
  const tensors = table.tables(0, `${where}'s tensors`).map((tensor, index): TfliteTensor => {
    const what = `${where}: tensor ${index}`;
    const shape = tensor.int32s(0, `${what}'s shape`);
    const dtype = dtypes[tensor.int8(1)];
    const size = sizeOfShape(shape);
    if (dtype === undefined)
      throw new RangeError(`${what} has number format ${tensor.int8(1)}, which there is not`);
    if (size === undefined) throw new RangeError(`${what} has the shape [${shape.join(', ')}]`);
    const number = tensor.uint32(2);
    if (number >= Math.max(1, buffers.length)) {
      throw new RangeError(`${what} has its values in buffer ${number}; there are ${buffers.length} buffers`);
    }
    // Buffer 0 is empty by agreement; so is that of a tensor that is computed.
    const content = buffers[number]?.length ? buffers[number] : undefined;
    const wanted = size * (formatOf(dtype)?.bytes ?? NaN);
    if (content && dtype !== 'STRING' && content.length !== wanted) {
      throw new RangeError(
        `${what} of shape [${shape.join(', ')}] in ${dtype} needs ${wanted} bytes, and has ${content.length}`,
      );
    }
    contents.push(content);
    return { index, name: tensor.text(3, `${what}'s name`), shape, dtype, constant: content !== undefined };
  });
  const checked = (numbers: number[], what: string, least: number = 0): number[] => {
    for (const number of numbers) {
      if (number < least || number >= tensors.length) {
        throw new RangeError(`${what}: there is no tensor ${number}; there are ${tensors.length}`);
      }
    }
    return numbers;
  };
  const inputs = checked(table.int32s(1, `${where}'s inputs`), `${where}'s inputs`);
  const made = new Set<number>(inputs);
  const operators = table.tables(3, `${where}'s operators`).map((operator, index): TfliteOperator => {
    const code = operator.uint32(0);
    const type = codes[code];
    if (type === undefined)
      throw new RangeError(`${where}: operator ${index} has code ${code} of ${codes.length}`);
    const what = `${where}: operator ${index} (${type})`;
    const from = checked(operator.int32s(1, `${what}'s inputs`), what, -1);
    const missing = from.find((number) => number >= 0 && !tensors[number].constant && !made.has(number));
    if (missing !== undefined)
      throw new RangeError(`${what} uses tensor ${missing} before anything makes it`);
    const to = checked(operator.int32s(2, `${what}'s outputs`), what);
    for (const number of to) {
      if (made.has(number) || tensors[number].constant)
        throw new RangeError(`${what} makes tensor ${number}, which is there already`);
      made.add(number);
    }
    let options: TfliteOptions;
    try {
      options = operatorOptions(type, operator.uint8(3), operator.table(4, 'its options'));
    } catch (error) {
      throw new RangeError(`${what}: ${(error as Error).message}`, { cause: error });
    }
    return { index, type, inputs: from, outputs: to, options };
  });
  const outputs = checked(table.int32s(2, `${where}'s outputs`), `${where}'s outputs`);
  const unmade = outputs.find((number) => !made.has(number) && !tensors[number].constant);
  if (unmade !== undefined) throw new RangeError(`${where}: nothing makes its output, tensor ${unmade}`);
  return {
    name: table.text(4, `${where}'s name`),
    tensors,
    operators,
    inputs,
    outputs,
    values: (index) => readConstant(tensors[index], contents[index], index),
  };
}

function readConstant(
  tensor: TfliteTensor | undefined,
  content: Uint8Array | undefined,
  index: number,
): HostTensor {
  if (!tensor || !content) {
    throw new RangeError(
      `TFLite: tensor ${index}${tensor ? ` (${tensor.name})` : ''} is no constant of this file`,
    );
  }
  const { shape, dtype, name } = tensor;
  const format = formatOf(dtype);
  if (!format || !(format.asIs || format.convert)) {
    throw new RangeError(`TFLite: tensor ${index} (${name}) is in ${dtype}, which can't be read`);
  }
  const size = sizeOfShape(shape)!;
  const values = format.integer ? new Int32Array(size) : new Float32Array(size);
  if (format.asIs) new Uint8Array(values.buffer).set(content);
  else format.convert?.(content, values, 0);
  return { shape, values };
}
