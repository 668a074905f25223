/**
 * `compile(step)`: a training or inference step, written in ordinary TensorFlow.js, as one TensorFlow graph.
 *
 * An eager step asks TensorFlow for hundreds of small operations one after another; a graph is asked for once, runs independent
 * operations side by side, fuses some, and reuses memory.
 */
import { tf } from '../tf';
import { noteAssignments, putBack } from './assignments';
import { CompileError } from './errors';
import { Graph } from './graph';
import { type NodeBackend, nodeBackend } from './node-backend';
import { placeOf } from './place';
import { activeRecorder, Recorder } from './recorder';
import type { Expected, Recording } from './recording';
import { beforeRun, release } from './residents';
import { type Difference, difference, type Signature, signatureOf } from './signature';

/** What a compiled step is called with: a number may stand for a scalar. */
export type StepInputs<Inputs> = {
  readonly [Name in keyof Inputs]: tf.Scalar extends Inputs[Name] ? Inputs[Name] | number : Inputs[Name];
};

/** Options of `compile`. */
export interface CompileOptions {
  /**
   * From time to time (at the 2nd, 8th, 32nd, 128th call and so on) rehearse the step and compare it with the graph, so that a value
   * that JavaScript has changed since is an error rather than a wrong constant. Default true.
   */
  readonly check?: boolean;
}

/** A compiled step. */
export interface CompiledStep<Inputs, Outputs> {
  /** Runs the step once. The caller disposes what it returns; the inputs stay. */
  (inputs: StepInputs<Inputs>): Outputs;
  /** How it runs on the backend in use. */
  readonly mode: 'graph' | 'eager';
  /** Graphs built so far: one for each combination of the inputs' shapes. */
  readonly graphs: number;
  /**
   * Bytes that the largest graph needs for what it computes on the way, at the worst moment, by its plan; 0 before there is a graph. Inputs, variables and
   * what kernels take for themselves come on top.
   */
  readonly plannedBytes: number;
  /** Releases the graphs; the variables keep their values. The step can't be called afterwards. */
  dispose(): void;
}

/** The step for one combination of input shapes. */
interface Variant {
  calls: number;
  nextCheck: number;
  graph: Graph | undefined;
  signature: Signature | undefined;
  /** Data of tensors from outside that the graph has as constants. */
  constants: readonly object[];
  rebuild: (outputs: tf.Tensor[]) => StepOutputs;
}

/** More combinations of shapes than this at once are hardly meant: the one that was used longest ago goes. */
const maxVariants = 16;

/**
 * Makes a step that runs as one TensorFlow graph on the backend `tensorflow`, and as it is on every other.
 *
 *     const step = compile(({ images, rate }: { images: tf.Tensor4D; rate: tf.Scalar }) => {
 *       const { value, grads } = tf.variableGrads(() => loss(model.forward(images, context)), variables);
 *       optimizer.step(variables.map(({ name }) => grads[name]), rate);
 *       return { loss: value };
 *     });
 *     const { loss } = step({ images, rate: 0.01 });
 *
 * The first call with inputs of some shapes rehearses the step: it runs eagerly, is recorded, and every variable gets back what it held; a second rehearsal
 * shows that it repeats itself. Then the graph runs, and from then on only the graph: what the function does besides tensors (counting, logging) happens in
 * rehearsals alone.
 * - Inputs are what may differ between calls. Any other number or tensor that the step uses is a constant of the graph.
 * - Every tf.Variable that it reads or assigns lives in the graph. Read, assign, save or freeze it between the calls as ever.
 * - Random numbers come from a `RandomStream`, which draws anew at each run.
 * - Called while a gradient is being taken, or inside another compiled step, it runs as if it were not compiled.
 * @param step takes tensors by name and returns tensors, in any nesting of arrays and objects; not async. It may use `tf.tidy`, gradients, variables.
 * @throws CompileError, at the call, where the step cannot be a graph: it reads a value in JavaScript, a shape depends on values, a constant
 *   changes from call to call. The message names the line.
 */
export function compile<Inputs extends { readonly [Name in keyof Inputs]: tf.Tensor }, Outputs>(
  step: (inputs: Inputs) => Outputs,
  options: CompileOptions = {},
): CompiledStep<Inputs, Outputs> {
  const compiled = new Compiled(step as unknown as Step, options.check ?? true);
  const call = (inputs: StepInputs<Inputs>): Outputs =>
    compiled.call(inputs as Record<string, tf.Tensor | number>) as Outputs;
  Object.defineProperties(call, {
    mode: { get: () => (nodeBackend() ? 'graph' : 'eager') },
    graphs: { get: () => compiled.graphs() },
    plannedBytes: { get: () => compiled.plannedBytes() },
    dispose: { value: () => compiled.dispose() },
  });
  return call as CompiledStep<Inputs, Outputs>;
}

type Step = (inputs: Record<string, tf.Tensor>) => StepOutputs;

/** Tensors in any nesting. */
type StepOutputs =
  tf.Tensor | undefined | void | readonly StepOutputs[] | { readonly [name: string]: StepOutputs };

class Compiled {
  private readonly variants = new Map<string, Variant>();
  private disposed = false;

  constructor(
    private readonly step: Step,
    private readonly check: boolean,
  ) {}

  call(inputs: Record<string, tf.Tensor | number>): StepOutputs {
    if (this.disposed) throw new Error('compile: this step has been disposed; compile it anew');
    const scalars: tf.Tensor[] = [];
    try {
      const named: Record<string, tf.Tensor> = {};
      for (const [name, input] of Object.entries(inputs)) {
        if (typeof input === 'number') scalars.push((named[name] = tf.tidy(() => tf.keep(tf.scalar(input)))));
        else if (input instanceof tf.Tensor) named[name] = input;
        else
          throw new TypeError(
            `compile: the input '${name}' must be a tensor or a number, got ${describe(input)}`,
          );
      }
      const backend = nodeBackend();
      const { gradientDepth } = tf.engine().state as unknown as { gradientDepth: number };
      if (!backend || activeRecorder() || gradientDepth > 0) return this.eagerly(named);
      return this.onGraph(backend, named);
    } finally {
      tf.dispose(scalars);
    }
  }

  graphs(): number {
    return [...this.variants.values()].filter(({ graph }) => graph).length;
  }

  plannedBytes(): number {
    return Math.max(0, ...[...this.variants.values()].map(({ graph }) => graph?.bytes ?? 0));
  }

  dispose(): void {
    this.disposed = true;
    for (const variant of this.variants.values()) close(variant);
    this.variants.clear();
  }

  private eagerly(named: Record<string, tf.Tensor>): StepOutputs {
    return tf.tidy(() => {
      // Clones, so that a step that returns an input hands out a tensor of the caller's own.
      const inputs = Object.entries(named).map(([name, tensor]) => [name, tensor.clone()] as const);
      const result = this.step(Object.fromEntries(inputs));
      refusePromise(result);
      return result as tf.TensorContainer;
    }) as StepOutputs;
  }

  private onGraph(backend: NodeBackend, named: Record<string, tf.Tensor>): StepOutputs {
    const names = Object.keys(named).sort();
    const tensors = names.map((name) => named[name]);
    const key = names.map((name) => `${name}:${named[name].dtype}[${named[name].shape}]`).join(' ');
    const variant = this.variant(key);
    variant.calls++;
    const constantGone = variant.constants.some((dataId) => !backend.tensorMap.has(dataId));
    if (!variant.graph) this.build(backend, variant, named, tensors);
    else if (constantGone || (this.check && variant.calls >= variant.nextCheck)) {
      const { recording, signature } = this.rehearse(backend, named, tensors, variant.signature);
      const different = difference(variant.signature as Signature, signature, recording);
      if (different) throw this.changed(different, signature, backend, named, tensors);
      variant.constants = watched(recording);
      variant.nextCheck = variant.calls * 4;
    }
    const graph = variant.graph as Graph;
    beforeRun(graph);
    return variant.rebuild(graph.run(tensors));
  }

  private variant(key: string): Variant {
    let variant = this.variants.get(key);
    if (variant) this.variants.delete(key);
    else {
      variant = {
        calls: 0,
        nextCheck: 2,
        graph: undefined,
        signature: undefined,
        constants: [],
        rebuild: () => undefined,
      };
    }
    this.variants.set(key, variant);
    if (this.variants.size > maxVariants) {
      const [oldest, least] = [...this.variants][0];
      this.variants.delete(oldest);
      close(least);
    }
    return variant;
  }

  /** Builds the graph once two rehearsals agree. The first may prepare things, e.g. an optimiser its slots. */
  private build(
    backend: NodeBackend,
    variant: Variant,
    named: Record<string, tf.Tensor>,
    tensors: tf.Tensor[],
  ): void {
    let last = this.rehearse(backend, named, tensors);
    let different: Difference | undefined;
    let created = '';
    for (let i = 0; i < 3; i++) {
      const before = new Set(Object.keys(tf.engine().registeredVariables));
      const next = this.rehearse(backend, named, tensors, last.signature);
      different = difference(last.signature, next.signature, next.recording);
      created = Object.keys(tf.engine().registeredVariables).find((name) => !before.has(name)) ?? '';
      last = next;
      if (different || created) continue;
      variant.graph = new Graph(backend, last.recording);
      variant.calls = 1;
      variant.signature = last.signature;
      variant.constants = watched(last.recording);
      variant.rebuild = last.rebuild;
      return;
    }
    if (different) throw this.changed(different, last.signature, backend, named, tensors);
    throw new CompileError(
      `the step makes variables at every call ('${created}'); make them once, before the step`,
    );
  }

  /** The error of a step that is another one than before; `now` is what it was at last. */
  private changed(
    { what, here, after }: Difference,
    now: Signature,
    backend: NodeBackend,
    named: Record<string, tf.Tensor>,
    tensors: tf.Tensor[],
  ): CompileError {
    let place = here;
    if (after !== undefined) {
      try {
        // Up to there it has been the same twice: the op that a shorter step does not expect any more is that one.
        const expected = { ...now, ops: now.ops.slice(0, after) };
        place = this.rehearse(backend, named, tensors, expected).recording.ops[after]?.here;
      } catch {
        // The message does without the place.
      }
    }
    return new CompileError(what, place ? placeOf(place) : '');
  }

  /**
   * Runs the step eagerly and records it; the variables keep what they held.
   * @param expected the recording with which this one will be compared.
   */
  private rehearse(
    backend: NodeBackend,
    named: Record<string, tf.Tensor>,
    tensors: tf.Tensor[],
    expected?: Expected,
  ): { recording: Recording; signature: Signature; rebuild: Template['rebuild'] } {
    let template: Template | undefined;
    const { result, olds } = noteAssignments(() =>
      new Recorder(backend, expected).run(tensors, () => {
        const found: tf.Tensor[] = [];
        template = templateOf(this.eagerly(named), found, 'the step');
        return found;
      }),
    );
    putBack(olds);
    tf.dispose(result.outputs);
    const { structure, rebuild } = template as Template;
    return { recording: result.recording, signature: signatureOf(result.recording, structure), rebuild };
  }
}

function watched({ constants }: Recording): object[] {
  return constants.flatMap(({ dataId }) => (dataId ? [dataId] : []));
}

function close(variant: Variant): void {
  if (!variant.graph) return;
  release(variant.graph);
  variant.graph.close();
  variant.graph = undefined;
}

/** How a step's outputs are nested, and how to nest other tensors in the same way. */
interface Template {
  readonly structure: string;
  readonly rebuild: (tensors: tf.Tensor[]) => StepOutputs;
}

function templateOf(value: StepOutputs, found: tf.Tensor[], where: string): Template {
  if (value === undefined) return { structure: '-', rebuild: () => undefined };
  if (value instanceof tf.Tensor) {
    const i = found.push(value) - 1;
    return { structure: `t${i}`, rebuild: (tensors) => tensors[i] };
  }
  if (Array.isArray(value)) {
    const parts = value.map((item: StepOutputs, i) => templateOf(item, found, `${where}[${i}]`));
    return {
      structure: `[${parts.map(({ structure }) => structure).join(',')}]`,
      rebuild: (tensors) => parts.map(({ rebuild }) => rebuild(tensors)),
    };
  }
  if (value === null || typeof value !== 'object') {
    throw new CompileError(
      `${where} returned ${describe(value)}, which the graph would repeat for ever; return tensors`,
    );
  }
  const parts = Object.entries(value as Record<string, StepOutputs>).map(
    ([name, item]) => [name, templateOf(item, found, `${where}'s ${name}`)] as const,
  );
  return {
    structure: `{${parts.map(([name, { structure }]) => `${name}:${structure}`).join(',')}}`,
    rebuild: (tensors) => Object.fromEntries(parts.map(([name, { rebuild }]) => [name, rebuild(tensors)])),
  };
}

function refusePromise(value: unknown): void {
  if (value instanceof Promise || typeof (value as { then?: unknown } | undefined)?.then === 'function') {
    throw new CompileError(
      'the step is async; a step only computes with tensors: read values and wait for data outside it',
    );
  }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'object' || typeof value === 'function') return `a ${value.constructor.name}`;
  return `${typeof value} ${String(value)}`;
}
