/** Compares two recordings of one step: what differs between them would be a wrong constant in the graph. */
import type {
  ConstantSignature,
  Expected,
  RecordedConstant,
  RecordedOp,
  Recording,
  Value,
} from './recording';

/** What remains of a recording to compare later ones with. */
export interface Signature extends Expected {
  readonly structure: string;
  readonly ends: readonly string[];
  readonly variables: Recording['variables'];
}

/** A difference and where it arose. */
export interface Difference {
  readonly what: string;
  readonly here?: Error;
  /** The last op before it, where only another recording can tell its place. */
  readonly after?: number;
}

/** @param structure how the step's outputs are nested. */
export function signatureOf(recording: Recording, structure: string): Signature {
  return {
    structure,
    ops: recording.ops.map(({ signature }) => signature),
    constants: recording.constants.map(({ signature }) => signature),
    ends: [
      ...recording.outputs.map(valueText),
      ...recording.variables.map(({ assigned, condition }) =>
        [assigned, condition].map((end) => (end ? valueText(end) : '')).join('?'),
      ),
    ],
    variables: recording.variables,
  };
}

/** What an op must be again: its kind, options, inputs, what it waits for, and the shapes of what it returns. */
export function opSignature({
  op,
  attributes,
  inputs,
  controls,
  outputs,
}: Omit<RecordedOp, 'name' | 'signature' | 'here'>): string {
  return [
    op,
    attributes.map((attribute) => `${attribute.name}=${String(attribute.value)}`).join(','),
    inputs.map(valueText).join(','),
    controls.map(valueText).join(','),
    outputs.map(({ shape, dtype }) => `${dtype}[${shape}]`).join(','),
  ].join('|');
}

/** What a constant must be again. */
export function constantSignature(
  constant: Pick<RecordedConstant, 'shape' | 'dtype' | 'bytes'>,
): ConstantSignature {
  return {
    key: `${constant.dtype}[${constant.shape}]${hash(constant.bytes)}`,
    shown: shown(constant),
  };
}

function valueText({ name, output }: Value): string {
  return `${name}:${output}`;
}

/** The first thing in which `now` differs from `before`, or undefined where they are the same graph. */
export function difference(before: Signature, now: Signature, recording: Recording): Difference | undefined {
  for (let i = 0; i < Math.min(before.ops.length, now.ops.length); i++) {
    if (before.ops[i] === now.ops[i]) continue;
    const [name, attributes, inputs, , outputs] = now.ops[i].split('|');
    const [oldName, oldAttributes, oldInputs, , oldOutputs] = before.ops[i].split('|');
    const here = recording.ops[i].here;
    if (name !== oldName)
      return { what: `the step computed '${oldName}' here before, and now '${name}'`, here };
    if (outputs !== oldOutputs) {
      return { what: `the shape of what '${name}' returns changed from ${oldOutputs} to ${outputs}`, here };
    }
    if (attributes !== oldAttributes) {
      return { what: `an option of '${name}' changed from ${oldAttributes} to ${attributes}`, here };
    }
    return { what: `'${name}' got other tensors than before (${oldInputs}; now ${inputs})`, here };
  }
  if (before.ops.length !== now.ops.length) {
    const what = `the step had ${before.ops.length} operations before, and now ${now.ops.length}`;
    return now.ops.length > before.ops.length
      ? { what, here: recording.ops[before.ops.length].here }
      : { what, after: now.ops.length - 1 };
  }
  for (let i = 0; i < Math.min(before.constants.length, now.constants.length); i++) {
    const [old, present] = [before.constants[i], now.constants[i]];
    if (old.key === present.key) continue;
    return {
      what:
        `a value from JavaScript changed from ${old.shown} to ${present.shown}; the graph would keep the first for ever. ` +
        'Make it an input of the step',
      here: recording.constants[i].here,
    };
  }
  const other = now.variables.find(({ variable }, i) => before.variables[i]?.variable !== variable);
  if (other) return { what: `the step now uses another variable, '${other.variable.name}'` };
  if (before.constants.length !== now.constants.length || before.variables.length !== now.variables.length) {
    return { what: 'the step uses other constants or variables than before' };
  }
  if (String(before.ends) !== String(now.ends) || before.structure !== now.structure) {
    return { what: 'the step returns or assigns other tensors than before' };
  }
  return undefined;
}

/** FNV-1a over the bytes: two 32 bit halves from different starts. */
function hash(bytes: Uint8Array): string {
  let [a, b] = [0x811c9dc5, 0x9dc5811c];
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b ^ byte, 0x01000193) ^ (b >>> 13);
  }
  return `${a >>> 0}.${b >>> 0}`;
}

const float = 1;
const int32 = 3;

/** A constant as an error shows it. */
function shown({ bytes, dtype, shape }: Pick<RecordedConstant, 'shape' | 'dtype' | 'bytes'>): string {
  if (bytes.length > 16) return `a tensor [${shape}]`;
  const { buffer } = bytes;
  const values =
    dtype === float ? new Float32Array(buffer) : dtype === int32 ? new Int32Array(buffer) : bytes;
  const texts = Array.from(values, (value) => String(Number(value.toPrecision(7))));
  return shape.length === 0 ? texts[0] : `[${texts.join(', ')}]`;
}
