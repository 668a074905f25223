/**
 * Keeps tfjs variables and the graphs' own variables one: a graph's run leaves the new values inside the graph, and whatever
 * reads the tf.Variable afterwards (an eager forward pass, a checkpoint, another graph) fetches them at that moment.
 *
 * A variable that a graph has assigned is *resident* there. Its tfjs data is an entry without a native tensor, whose `id` is a
 * getter that fetches. A variable assigned by tfjs gets other data, and so is known to have changed when a graph next runs.
 */
import type { tf } from '../tf';
import { CompileError } from './errors';
import type { Graph } from './graph';
import { detached, type NodeBackend, type TensorData } from './node-backend';

/** What is known of one variable that some graph uses. */
interface Resident {
  readonly variable: tf.Variable;
  /** The tfjs data that stands for the values up to `version`. */
  dataId: object;
  data: TensorData;
  /** Counts the values that the variable has had. */
  version: number;
  /** Where the newest value is, where no native tensor of tfjs has it. */
  holder: { graph: Graph; number: number } | undefined;
}

const residents = new WeakMap<tf.Variable, Resident>();
/** Version of each of a graph's variables. */
const copies = new WeakMap<Graph, number[]>();
/** The variables whose newest value only this graph has. */
const held = new WeakMap<Graph, Set<Resident>>();

/**
 * Brings a graph's variables up to date, and marks those that it is about to assign as changed. Call it right before each run:
 * when the run fails or is broken off, what the graph holds counts.
 */
export function beforeRun(graph: Graph): void {
  const { backend } = graph;
  const versions = getOrSet(copies, graph, () => graph.variables.map(() => 0));
  const stale: number[] = [];
  graph.variables.forEach((variable, i) => {
    const resident = current(backend, variable);
    if (versions[i] !== resident.version) stale.push(i);
  });
  if (stale.length > 0) {
    graph.write(stale, backend.getInputTensorIds(stale.map((i) => graph.variables[i])));
    for (const i of stale) versions[i] = (residents.get(graph.variables[i]) as Resident).version;
  }
  graph.variables.forEach((variable, i) => {
    if (!graph.assigns[i]) return;
    const resident = residents.get(variable) as Resident;
    if (resident.data.refCount > 1) separate(backend, resident);
    versions[i] = ++resident.version;
    hold(backend, resident, graph, i);
  });
}

/** Fetches everything that only this graph has, so that it can be closed. */
export function release(graph: Graph): void {
  fetch(graph);
  held.delete(graph);
  copies.delete(graph);
}

/** The variable's record, after a look whether tfjs has assigned it since. */
function current(backend: NodeBackend, variable: tf.Variable): Resident {
  if (variable.isDisposed || !backend.tensorMap.has(variable.dataId)) {
    throw new CompileError(
      `the step uses the variable '${variable.name}' [${variable.shape}], which has been disposed; dispose the compiled step too and ` +
        'compile anew',
    );
  }
  let resident = residents.get(variable);
  if (!resident) {
    const data = backend.tensorMap.get(variable.dataId);
    resident = { variable, dataId: variable.dataId, data, version: 1, holder: undefined };
    residents.set(variable, resident);
  } else if (resident.dataId !== variable.dataId) {
    if (resident.holder) held.get(resident.holder.graph)?.delete(resident);
    resident.holder = undefined;
    resident.dataId = variable.dataId;
    resident.data = backend.tensorMap.get(variable.dataId);
    resident.version++;
  }
  return resident;
}

/** Other tensors share the variable's data (a clone, say) and must keep what they have: the variable gets data of its own. */
function separate(backend: NodeBackend, resident: Resident): void {
  const { variable } = resident;
  const own = detached(backend, variable);
  variable.assign(own);
  own.dispose();
  resident.dataId = variable.dataId;
  resident.data = backend.tensorMap.get(variable.dataId);
}

/** From now on `graph` has the newest value. */
function hold(backend: NodeBackend, resident: Resident, graph: Graph, number: number): void {
  const { data } = resident;
  const before = resident.holder;
  if (before && before.graph !== graph) held.get(before.graph)?.delete(resident);
  resident.holder = { graph, number };
  getOrSet(held, graph, () => new Set()).add(resident);
  if (!isNative(data)) return;
  const { id } = data;
  data.values = null;
  Object.defineProperty(data, 'id', {
    configurable: true,
    enumerable: true,
    get: () => {
      fetch(graph);
      return data.id;
    },
  });
  if (id >= 0) backend.binding.deleteTensor(id);
}

/** Whether tfjs's data has a native tensor (or values to make one of) rather than the getter. */
function isNative(data: TensorData): boolean {
  return 'value' in (Object.getOwnPropertyDescriptor(data, 'id') as PropertyDescriptor);
}

/** Makes native tensors of all that only `graph` has: one call for all of them costs little more than one for one. */
function fetch(graph: Graph): void {
  const wanted = [...(held.get(graph) ?? [])].filter((resident) => resident.holder?.graph === graph);
  const lacking = wanted.filter(({ data }) => !isNative(data));
  const tensors = graph.read(lacking.map(({ holder }) => (holder as { number: number }).number));
  lacking.forEach(({ data }, i) => {
    Object.defineProperty(data, 'id', {
      value: tensors[i].id,
      writable: true,
      configurable: true,
      enumerable: true,
    });
  });
  held.get(graph)?.clear();
  for (const resident of wanted) resident.holder = undefined;
}

function getOrSet<K extends object, V>(map: WeakMap<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
