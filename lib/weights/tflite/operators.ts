/** TFLite's operators by name, and the options of those that networks of convolutions are made of (schema version 3). */
import type { FlatTable } from './flatbuffer';

/** What an operator does to its result at once. */
export type TfliteActivation = 'none' | 'relu' | 'relu_n1_to_1' | 'relu6' | 'tanh' | 'sign_bit';

/** An operator's options, by their names in the schema; only those that its kind has. */
export interface TfliteOptions {
  readonly padding?: 'same' | 'valid';
  /** [height, width]. */
  readonly stride?: readonly [number, number];
  readonly dilation?: readonly [number, number];
  /** Of pooling, [height, width]. */
  readonly window?: readonly [number, number];
  readonly depthMultiplier?: number;
  readonly activation?: TfliteActivation;
  readonly axis?: number;
  readonly newShape?: readonly number[];
  /** Of softmax. */
  readonly beta?: number;
}

const names = [
  'ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED',
  'HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU',
  'RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM',
  'EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE',
]
  .join(' ')
  .split(' ');

/** An operator's name in the schema; `BUILTIN_97` for one that is newer than this list. */
export function operatorName(code: number): string {
  return names[code] ?? `BUILTIN_${code}`;
}

const activations = ['none', 'relu', 'relu_n1_to_1', 'relu6', 'tanh', 'sign_bit'] as const;

function activation(code: number): TfliteActivation {
  if (!(code in activations)) throw new RangeError(`there is no activation function ${code}`);
  return activations[code];
}

function padding(code: number): 'same' | 'valid' {
  if (code !== 0 && code !== 1) throw new RangeError(`there is no padding ${code}`);
  return code === 0 ? 'same' : 'valid';
}

/** Fields of [height, width] that stand as width, height in the table. */
const sides = (table: FlatTable, width: number, missing: number): readonly [number, number] => [
  positive(table.int32(width + 1, missing)),
  positive(table.int32(width, missing)),
];

function positive(value: number): number {
  if (value < 1) throw new RangeError(`a stride, dilation or window is ${value}`);
  return value;
}

interface Reader {
  /** Which member of the schema's union of options it is. */
  readonly union: number;
  readonly read: (table: FlatTable) => TfliteOptions;
}

const pool: Reader = {
  union: 5,
  read: (table) => ({
    padding: padding(table.int8(0)),
    stride: sides(table, 1, 0),
    window: sides(table, 3, 0),
    activation: activation(table.int8(5)),
  }),
};

const fused = (union: number): Reader => ({
  union,
  read: (table) => ({ activation: activation(table.int8(0)) }),
});

const readers: Readonly<Record<string, Reader>> = {
  ADD: fused(11),
  MUL: fused(21),
  FULLY_CONNECTED: fused(8),
  AVERAGE_POOL_2D: pool,
  MAX_POOL_2D: pool,
  CONV_2D: {
    union: 1,
    read: (table) => ({
      padding: padding(table.int8(0)),
      stride: sides(table, 1, 0),
      activation: activation(table.int8(3)),
      dilation: sides(table, 4, 1),
    }),
  },
  DEPTHWISE_CONV_2D: {
    union: 2,
    read: (table) => ({
      padding: padding(table.int8(0)),
      stride: sides(table, 1, 0),
      depthMultiplier: table.int32(3),
      activation: activation(table.int8(4)),
      dilation: sides(table, 5, 1),
    }),
  },
  CONCATENATION: {
    union: 10,
    read: (table) => ({ axis: table.int32(0), activation: activation(table.int8(1)) }),
  },
  RESHAPE: { union: 17, read: (table) => ({ newShape: table.int32s(0, 'a new shape') }) },
  SOFTMAX: { union: 9, read: (table) => ({ beta: table.float32(0) }) },
};

/**
 * An operator's options; those of kinds that are not needed here are left unread.
 * @throws RangeError for values that the schema does not have, and where a convolution's are missing or another operator's.
 */
export function operatorOptions(type: string, union: number, table: FlatTable | undefined): TfliteOptions {
  const reader = Object.hasOwn(readers, type) ? readers[type] : undefined;
  if (!reader) return {};
  if (table === undefined || union === 0) {
    if (type.includes('CONV') || type.includes('POOL')) throw new RangeError('its options are missing');
    return {};
  }
  if (union !== reader.union) throw new RangeError('it has the options of another kind of operator');
  return reader.read(table);
}
