/** Finding one's way in a TFLite graph: who makes a tensor, who uses it, and what a constant holds behind its conversions. */
import type { HostTensor } from '../host-tensor';
import type { TfliteGraph, TfliteOperator } from './tflite';

/** A graph with its connections. */
export class TfliteWalk {
  readonly graph: TfliteGraph;
  private readonly makers = new Map<number, TfliteOperator>();
  private readonly users = new Map<number, TfliteOperator[]>();

  constructor(graph: TfliteGraph) {
    this.graph = graph;
    for (const operator of graph.operators) {
      for (const output of operator.outputs) this.makers.set(output, operator);
      for (const input of new Set(operator.inputs)) {
        const users = this.users.get(input);
        if (users) users.push(operator);
        else this.users.set(input, [operator]);
      }
    }
  }

  /** The operator that makes a tensor; `undefined` for constants and the graph's inputs. */
  maker(tensor: number): TfliteOperator | undefined {
    return this.makers.get(tensor);
  }

  /** The operators that use a tensor, in the order of execution. */
  usersOf(tensor: number): readonly TfliteOperator[] {
    return this.users.get(tensor) ?? [];
  }

  /**
   * The values of a constant, also of one that the file keeps in half precision and converts when it runs.
   * @throws RangeError naming the tensor where it is computed.
   */
  constant(tensor: number): HostTensor {
    const maker = this.makers.get(tensor);
    const source = maker?.type === 'DEQUANTIZE' ? maker.inputs[0] : tensor;
    const { dtype, name } = this.graph.tensors[source] ?? {};
    if (source !== tensor && dtype !== 'F16') {
      throw new RangeError(
        `TFLite: tensor ${source} (${name}) is quantised to ${dtype}; only half precision is read`,
      );
    }
    return this.graph.values(source);
  }

  /** A tensor as errors should call it. */
  describe(tensor: number): string {
    const { name, shape } = this.graph.tensors[tensor];
    return `tensor ${tensor}, [${shape.join(', ')}], "${name.slice(0, 60)}"`;
  }
}
