/** Compares two recordings of one step: what differs between them would be a wrong constant in the graph. */
import type { RecordedConstant, Recording, Value } from './recorder';

/** What remains of a recording to compare later ones with. */
export interface Signature {
  readonly structure: string;
  readonly ops: readonly string[];
  readonly constants: readonly { readonly key: string; readonly shown: string }[];
  readonly ends: readonly string[];
  readonly variables: Recording['variables'];
}

/** A difference and where it arose. */
export interface Difference {
  readonly what: string;
  readonly here?: Error;
}

/** @param structure how the step's outputs are nested. */
export function signatureOf(recording: Recording, structure: string): Signature {
  const value = ({ name, output }: Value): string => `${name}:${output}`;
  return {
    structure,
    ops: recording.ops.map(({ op, attributes, inputs, controls, outputs }) =>
      [
        op,
        attributes.map((attribute) => `${attribute.name}=${String(attribute.value)}`).join(','),
        inputs.map(value).join(','),
        controls.map(value).join(','),
        outputs.map(({ shape, dtype }) => `${dtype}[${shape}]`).join(','),
      ].join('|'),
    ),
    constants: recording.constants.map((constant) => ({
      key: `${constant.dtype}[${constant.shape}]${hash(constant.bytes)}`,
      shown: shown(constant),
    })),
    ends: [
      ...recording.outputs.map(value),
      ...recording.variables.map(({ assigned, condition }) =>
        [assigned, condition].map((end) => (end ? value(end) : '')).join('?'),
      ),
    ],
    variables: recording.variables,
  };
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
    const last = recording.ops[Math.min(before.ops.length, now.ops.length - 1)];
    return {
      what: `the step had ${before.ops.length} operations before, and now ${now.ops.length}`,
      here: last?.here,
    };
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
function shown({ bytes, dtype, shape }: RecordedConstant): string {
  if (bytes.length > 16) return `a tensor [${shape}]`;
  const { buffer } = bytes;
  const values =
    dtype === float ? new Float32Array(buffer) : dtype === int32 ? new Int32Array(buffer) : bytes;
  const texts = Array.from(values, (value) => String(Number(value.toPrecision(7))));
  return shape.length === 0 ? texts[0] : `[${texts.join(', ')}]`;
}
