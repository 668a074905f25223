/** One loaded graph: a recorded step inside TensorFlow, with variables of its own. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { tf } from '../tf';
import { savedModel, type GraphNames } from './graph-def';
import type { NativeTensor, NodeBackend } from './node-backend';
import { plannedBytes } from './planned-bytes';
import type { Recording } from './recording';

/** A recorded step as a TensorFlow session. Variables are numbered as in the recording. */
export class Graph {
  readonly variables: readonly tf.Variable[];
  /** Which variables a run assigns. */
  readonly assigns: readonly boolean[];
  /** See `plannedBytes`. */
  readonly bytes: number;
  private readonly session: number;
  private readonly names: GraphNames;
  private closed = false;

  constructor(
    readonly backend: NodeBackend,
    recording: Recording,
  ) {
    this.variables = recording.variables.map(({ variable }) => variable);
    this.assigns = recording.variables.map(({ assigned }) => assigned !== undefined);
    this.bytes = plannedBytes(recording);
    const { bytes, names } = savedModel(recording, backend.binding);
    this.names = names;
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'detlab-graph-'));
    try {
      fs.writeFileSync(path.join(folder, 'saved_model.pb'), bytes);
      this.session = backend.binding.loadSavedModel(folder, 'serve');
    } finally {
      fs.rmSync(folder, { recursive: true, force: true });
    }
  }

  /** Runs the step once. Returns its outputs, which the caller owns. */
  run(inputs: readonly tf.Tensor[]): tf.Tensor[] {
    const ids = this.backend.getInputTensorIds(inputs);
    const results = this.call(ids, this.names.inputs, this.names.run);
    const done = results.pop() as NativeTensor;
    this.backend.binding.deleteTensor(done.id);
    return results.map((result) => this.backend.createOutputTensor(result));
  }

  /** What the variables of these numbers hold. The caller deletes them. */
  read(numbers: readonly number[]): NativeTensor[] {
    if (numbers.length === 0) return [];
    return this.call([], '', numbers.map((i) => this.names.variables[i].read).join(','));
  }

  /** Gives the variables of these numbers the values of native tensors. */
  write(numbers: readonly number[], ids: readonly number[]): void {
    if (numbers.length === 0) return;
    const names = numbers.map((i) => this.names.variables[i]);
    const done = this.call(
      [...ids],
      names.map(({ feed }) => feed).join(','),
      names.map(({ set }) => set).join(','),
    );
    for (const { id } of done) this.backend.binding.deleteTensor(id);
  }

  /** Releases everything that the graph holds. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.backend.binding.deleteSavedModel(this.session);
  }

  private call(ids: number[], inputs: string, outputs: string): NativeTensor[] {
    return this.backend.binding.runSavedModel(this.session, ids, inputs, outputs);
  }
}
