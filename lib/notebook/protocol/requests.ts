/** The requests that are answered at once, also while a cell runs, and what their content must be. */
import { randomUUID } from 'node:crypto';
import type { CellHost } from './cell-host';
import { toCodePoints, toUnits } from './code-points';
import { type Channel, type Connection, portFields } from './connection';
import { type Fields } from './fields';
import { type History, sessionNumber } from './history';
import { kernelInfo } from './info';
import type { IoPub } from './iopub';
import type { Completion } from '../session';
import type { Message } from './wire';

/** A request, and where it came in. */
export interface Request {
  channel: Channel;
  message: Message;
}

/** What handlers may use. */
export interface KernelParts {
  connection: Connection;
  iopub: IoPub;
  cells: CellHost;
  history: History;
  /** Stops the running cell. */
  interrupt: () => void;
  /** Ends the process that runs cells; the kernel itself ends once the request was answered. */
  shutDown: () => Promise<void>;
}

type Content = Record<string, unknown>;

/** How a type of request is answered. Without `reply` there is no answer: comms are one-way. */
export interface Handler {
  reply?: string;
  answer: (fields: Fields, parts: KernelParts, request: Request) => Content | Promise<Content>;
}

/** Handlers by the type of message; the same on shell and on control. */
export const handlers: Readonly<Record<string, Handler>> = {
  kernel_info_request: { reply: 'kernel_info_reply', answer: () => kernelInfo() },
  connect_request: {
    reply: 'connect_reply',
    answer: (_, { connection }) => ({
      status: 'ok',
      ...Object.fromEntries(
        Object.entries(portFields).map(([channel, name]) => [name, connection.ports[channel as Channel]]),
      ),
    }),
  },
  complete_request: { reply: 'complete_reply', answer: complete },
  inspect_request: { reply: 'inspect_reply', answer: inspect },
  is_complete_request: { reply: 'is_complete_reply', answer: isComplete },
  history_request: { reply: 'history_reply', answer: findHistory },
  comm_info_request: {
    reply: 'comm_info_reply',
    answer: (fields) => {
      fields.text('target_name', '');
      return { status: 'ok', comms: {} };
    },
  },
  comm_open: { answer: refuseComm },
  // No comm is ever open here: these come from a front end that has not yet heard of the refusal.
  comm_msg: { answer: () => ({}) },
  comm_close: { answer: () => ({}) },
  interrupt_request: {
    reply: 'interrupt_reply',
    answer: (_, { interrupt }) => {
      interrupt();
      return { status: 'ok' };
    },
  },
  shutdown_request: {
    reply: 'shutdown_reply',
    answer: async (fields, { iopub, shutDown }, { message }) => {
      const content = { status: 'ok', restart: fields.flag('restart', false) };
      await shutDown();
      iopub.publish('shutdown_reply', content, message.header);
      return content;
    },
  },
  debug_request: { reply: 'debug_reply', answer: refuseDebugging },
};

async function complete(fields: Fields, { cells }: KernelParts): Promise<Content> {
  const code = fields.text('code');
  const position = toUnits(code, fields.count('cursor_pos'));
  const nothing: Completion = { items: [], start: position, end: position };
  const found = (await cells.current?.complete(code, position)) ?? nothing;
  const start = toCodePoints(code, found.start);
  const end = toCodePoints(code, found.end);
  return {
    status: 'ok',
    matches: found.items.map(({ text }) => text),
    cursor_start: start,
    cursor_end: end,
    metadata: {
      _jupyter_types_experimental: found.items.map(({ text, type, signature }) => ({
        start,
        end,
        text,
        type,
        ...(signature === undefined ? {} : { signature }),
      })),
    },
  };
}

async function inspect(fields: Fields, { cells }: KernelParts): Promise<Content> {
  const code = fields.text('code');
  const position = toUnits(code, fields.count('cursor_pos'));
  const data = await cells.current?.inspect(code, position);
  return { status: 'ok', found: data !== undefined, data: data ?? {}, metadata: {} };
}

async function isComplete(fields: Fields, { cells }: KernelParts): Promise<Content> {
  const code = fields.text('code');
  const found = await cells.current?.isComplete(code);
  if (!found) return { status: 'unknown' };
  return found.status === 'incomplete'
    ? { status: 'incomplete', indent: found.indent ?? '' }
    : { status: found.status };
}

function findHistory(fields: Fields, { history }: KernelParts): Content {
  const found = history.find({
    access: fields.oneOf('hist_access_type', ['range', 'tail', 'search']),
    session: fields.integer('session', 0),
    start: fields.integer('start', 0),
    stop: fields.has('stop') ? fields.integer('stop') : undefined,
    n: fields.has('n') ? fields.count('n') : undefined,
    pattern: fields.text('pattern', '*'),
    unique: fields.flag('unique', false),
  });
  const withOutput = fields.flag('output', false);
  return {
    status: 'ok',
    history: found.map(({ line, source, output }) => [
      sessionNumber,
      line,
      withOutput ? [source, output ?? null] : source,
    ]),
  };
}

/** Nothing in the kernel takes comms; a front end that opens one must learn that nobody is at the other end. */
function refuseComm(fields: Fields, { iopub }: KernelParts, { message }: Request): Content {
  const id = fields.text('comm_id', randomUUID());
  iopub.publish('comm_close', { comm_id: id, data: {} }, message.header);
  return {};
}

/** In the debugger's own form, beside the usual one of errors. */
function refuseDebugging(_: Fields, __: KernelParts, { message }: Request): Content {
  const { seq, command } = message.content;
  const text =
    'this kernel has no debugger (kernel_info says so); `node --inspect` on a script of your own has one';
  return {
    status: 'error',
    ename: 'NotSupported',
    evalue: text,
    traceback: [],
    seq: 0,
    type: 'response',
    request_seq: typeof seq === 'number' ? seq : 0,
    command: typeof command === 'string' ? command : '',
    success: false,
    message: text,
  };
}
