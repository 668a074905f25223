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
