/** How a picture, chart or table reaches the notebook: MIME bundles handed to whoever runs the cell. */

/** One output in several forms, keyed by MIME type; a front end shows the richest that it knows. */
export type MimeBundle = Record<string, unknown>;

/** Options of one display. */
export interface DisplayOptions {
  /** Outputs with the same id are one output: `update: true` replaces what an earlier call with this id showed. */
  displayId?: string;
  update?: boolean;
  /** Jupyter's per-output metadata, keyed by MIME type where it concerns one form. */
  metadata?: Record<string, unknown>;
}

/** What a kernel or runner provides so that library code can show things while a cell runs. */
export interface DisplaySink {
  display(bundle: MimeBundle, options: DisplayOptions): void;
  clear(wait: boolean): void;
}

/** An object with this method shows itself when it is a cell's last expression (the convention of Deno's kernel). */
export const displaySymbol: unique symbol = Symbol.for('Jupyter.display') as never;

const sinkSymbol = Symbol.for('detlab.display');
type WithSink = { [sinkSymbol]?: DisplaySink };

/** Installs the sink (the kernel's task); `undefined` removes it. Global, so that two copies of the library share it. */
export function setDisplaySink(sink: DisplaySink | undefined): void {
  (globalThis as WithSink)[sinkSymbol] = sink;
}

/** The sink in force, or `undefined` outside a notebook. */
export function displaySink(): DisplaySink | undefined {
  return (globalThis as WithSink)[sinkSymbol];
}

/** Shows a MIME bundle. Outside a notebook its `text/plain` form, if any, goes to standard output. */
export function display(bundle: MimeBundle, options: DisplayOptions = {}): void {
  const sink = displaySink();
  if (sink) sink.display(bundle, options);
  else if (typeof bundle['text/plain'] === 'string') console.log(bundle['text/plain']);
}

/** Empties the running cell's output; with `wait` at the next output, so that replacing does not flicker. */
export function clearOutput(options: { wait?: boolean } = {}): void {
  displaySink()?.clear(options.wait === true);
}

const metadataSymbol = Symbol.for('detlab.displayMetadata');

/** Something that shows itself: a picture, a table, a chart that was rendered. */
export interface Showable {
  [displaySymbol](): MimeBundle | Promise<MimeBundle>;
}

/** A bundle with the metadata that goes beside it in a Jupyter message. */
export interface ShownBundle {
  bundle: MimeBundle;
  metadata: Record<string, unknown>;
}

/** Whether a value has the `Symbol.for('Jupyter.display')` method. */
export function isShowable(value: unknown): value is Showable {
  return (
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    typeof (value as Partial<Showable>)[displaySymbol] === 'function'
  );
}

/**
 * Gives a bundle its Jupyter metadata (such as the size at which a sharper picture is shown). It rides on the bundle under a
 * symbol, so that it is not taken for a MIME type, and a kernel that knows only the display method still shows the output.
 */
export function withMetadata(bundle: MimeBundle, metadata: Record<string, unknown>): MimeBundle {
  Object.defineProperty(bundle, metadataSymbol, { value: metadata, enumerable: false });
  return bundle;
}

/** The bundle and metadata of something showable; `undefined` for any other value, and for what shows nothing this time. */
export async function bundleOf(value: unknown): Promise<ShownBundle | undefined> {
  if (!isShowable(value)) return undefined;
  const bundle = (await value[displaySymbol]()) as MimeBundle | undefined | null;
  if (!bundle) return undefined;
  const metadata = (bundle as { [metadataSymbol]?: Record<string, unknown> })[metadataSymbol] ?? {};
  return { bundle, metadata };
}
