/**
 * Messages on the wire: the frames of ZeroMQ and their signature.
 *
 *     identities…, <IDS|MSG>, signature, header, parent header, metadata, content, buffers…
 */
import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';

type Json = Record<string, unknown>;

/** Who sent a message, when, and what it is. Fields that are not known are kept, since replies repeat the header. */
export type Header = Json & { msg_id: string; msg_type: string };

/** A message that arrived. */
export interface Message {
  /** The route that a reply takes back. */
  identities: Buffer[];
  header: Header;
  parentHeader: Json;
  metadata: Json;
  content: Json;
  buffers: Buffer[];
}

/** A message that is not taken. `type` is what it says it is, where that could be read. */
export class MessageRefused extends Error {
  override readonly name: string = 'MessageRefused';
  readonly type: string;
  constructor(reason: string, type: string = 'a message') {
    super(reason);
    this.type = type;
  }
}

export const protocolVersion = '5.4';
export const delimiter = '<IDS|MSG>';

const parts = ['header', 'parent header', 'metadata', 'content'] as const;

/** Writes and reads messages of one kernel, or of one client in tests. */
export class Wire {
  /** Names this process in the headers that it writes. */
  readonly session: string = randomUUID();
  private readonly key: string;
  private readonly hash: string;
  private readonly limit: number;
  private readonly remembered: number;
  private readonly seen: Set<string> = new Set();
  private count = 0;

  /**
   * An empty key: nothing is signed or checked. `limit`: bytes of one message at most. `remembered`: the number of signatures
   * that are not taken a second time.
   */
  constructor(signing: { key: string; hash: string }, limit: number = Infinity, remembered: number = 65_536) {
    this.key = signing.key;
    this.hash = signing.hash;
    this.limit = limit;
    this.remembered = remembered;
  }

  /** A message's frames, without identities before them. */
  encode(type: string, content: object, parentHeader: object = {}, metadata: object = {}): Buffer[] {
    const header = {
      msg_id: `${this.session}_${++this.count}`,
      msg_type: type,
      username: 'kernel',
      session: this.session,
      date: new Date().toISOString(),
      version: protocolVersion,
    };
    const frames = [header, parentHeader, metadata, content].map((part) => Buffer.from(toJson(part)));
    return [Buffer.from(delimiter), Buffer.from(this.sign(frames)), ...frames];
  }

  /** @throws MessageRefused for what is malformed, too large, not signed with the key, or seen before. */
  decode(frames: readonly Buffer[]): Message {
    const size = frames.reduce((sum, frame) => sum + frame.length, 0);
    if (size > this.limit) {
      throw new MessageRefused(
        `it has ${megabytes(size)} MB, more than the ${megabytes(this.limit)} MB that are taken ` +
          '(DETLAB_MESSAGE_LIMIT, in MB, changes that)',
      );
    }
    const at = frames.findIndex((frame) => frame.length === delimiter.length && frame.equals(delimiterFrame));
    if (at < 0) throw new MessageRefused(`it has no ${delimiter} frame`);
    const [signature, ...rest] = frames.slice(at + 1);
    if (rest.length < parts.length) {
      const found = frames.length - at - 1;
      throw new MessageRefused(
        `it has ${found} frame${found === 1 ? '' : 's'} after ${delimiter}; ` +
          'a signature, header, parent header, metadata and content are needed',
      );
    }
    const signed = rest.slice(0, parts.length);
    this.checkSignature(signature!, signed);
    const type = typeOf(signed[0]!);
    const [header, parentHeader, metadata, content] = signed.map((frame, i) => parse(frame, parts[i]!, type));
    for (const field of ['msg_id', 'msg_type'] as const) {
      if (typeof header![field] !== 'string')
        throw new MessageRefused(`its header has no "${field}" that is a text`, type);
    }
    return {
      identities: frames.slice(0, at),
      header: header as Header,
      parentHeader: parentHeader!,
      metadata: metadata!,
      content: content!,
      buffers: rest.slice(parts.length),
    };
  }

  private sign(frames: readonly Buffer[]): string {
    if (this.key === '') return '';
    const hmac = createHmac(this.hash, this.key);
    for (const frame of frames) hmac.update(frame);
    return hmac.digest('hex');
  }

  private checkSignature(signature: Buffer, signed: readonly Buffer[]): void {
    if (this.key === '') return;
    if (signature.length === 0) throw new MessageRefused('it is not signed', typeOf(signed[0]!));
    const right = Buffer.from(this.sign(signed));
    if (signature.length !== right.length || !timingSafeEqual(signature, right)) {
      throw new MessageRefused("its signature is not that of the connection file's key", typeOf(signed[0]!));
    }
    // Whoever listens in on the sockets could send a message that was signed by somebody else once more.
    const text = right.toString();
    if (this.seen.has(text))
      throw new MessageRefused('it was sent before (same signature)', typeOf(signed[0]!));
    this.seen.add(text);
    if (this.seen.size > this.remembered) {
      const [oldest] = this.seen;
      this.seen.delete(oldest!);
    }
  }
}

const delimiterFrame: Buffer = Buffer.from(delimiter);
const decoder: TextDecoder = new TextDecoder('utf-8', { fatal: true });

function parse(frame: Buffer, part: string, type: string): Json {
  let text: string;
  try {
    text = decoder.decode(frame);
  } catch {
    throw new MessageRefused(`its ${part} is not UTF-8`, type);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new MessageRefused(`its ${part} is not JSON (${(error as Error).message.split('\n')[0]})`, type);
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new MessageRefused(`its ${part} is not a JSON object`, type);
  }
  return json as Json;
}

/** What a header says about its message. It may be anything, from anybody. */
function typeOf(header: Buffer): string {
  try {
    const type = (JSON.parse(header.toString('utf8')) as Partial<Header> | null)?.msg_type;
    if (typeof type === 'string') return type;
  } catch {
    // No header, no type.
  }
  return 'a message';
}

/** Half of a surrogate pair cannot be written as UTF-8: one that is printed would keep Jupyter from saving the notebook. */
function toJson(value: object): string {
  const json = JSON.stringify(value);
  if (!json.includes('\\ud')) return json;
  return json.replace(/\\(?:u(d[89a-f][0-9a-f]{2})|.)/g, (escape, half?: string) =>
    half === undefined ? escape : '\ufffd',
  );
}

function megabytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0);
}
