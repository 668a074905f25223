/** The connection file: where Jupyter wants the kernel to listen, and the key that signs messages. */
import { getHashes } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import { findJsonProblem } from '../json-position';
import { UsageError } from '../runner/select';

/** The five sockets of a kernel, in the order in which they are opened. */
export const channels = ['heartbeat', 'iopub', 'control', 'stdin', 'shell'] as const;
export type Channel = (typeof channels)[number];

/** The field of the connection file that holds a channel's port. */
export const portFields: Readonly<Record<Channel, string>> = {
  heartbeat: 'hb_port',
  iopub: 'iopub_port',
  control: 'control_port',
  stdin: 'stdin_port',
  shell: 'shell_port',
};

/** What a connection file says. */
export interface Connection {
  /** The file, as it was named. */
  file: string;
  transport: 'tcp' | 'ipc';
  /** The address to listen on; with `ipc`, the path that the sockets' paths start with. */
  ip: string;
  ports: Record<Channel, number>;
  /** Empty: messages are not signed. */
  key: string;
  /** Node's name of the hash that signs. */
  hash: string;
  /** The secret of CurveZMQ (Z85), where Jupyter was told to encrypt what goes over the sockets. */
  curveSecretKey?: string;
}

/** A connection file that cannot be used. The message names the file, the field, its value and what would help. */
export class ConnectionFileError extends UsageError {
  override readonly name: string = 'ConnectionFileError';
}

const advice =
  'Jupyter writes this file itself when it starts a kernel; a copy of one that works is in the folder that ' +
  '`jupyter --runtime-dir` names.';

/** Reads and checks a connection file. @throws ConnectionFileError */
export function readConnection(file: string): Connection {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConnectionFileError(`The connection file ${file} ${readingProblem(error)}. ${advice}`);
  }
  return parseConnection(text, file);
}

function readingProblem(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'does not exist';
  if (code === 'EISDIR') return 'is a folder';
  if (code === 'EACCES') return 'may not be read by this user';
  return `can't be read: ${message}`;
}

/** Reads a connection from a file's text; `file` is what errors call it. @throws ConnectionFileError */
export function parseConnection(text: string, file: string): Connection {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    const found = findJsonProblem(text);
    const place = found ? `line ${found.line}, column ${found.column}: ${found.message}` : String(error);
    throw new ConnectionFileError(`The connection file ${file} is not JSON: ${place}. ${advice}`);
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new ConnectionFileError(`The connection file ${file} holds no JSON object. ${advice}`);
  }
  const fields = json as Record<string, unknown>;
  const wrong = (name: string, needed: string): ConnectionFileError => {
    const value = fields[name];
    const found =
      value === undefined ? 'is missing' : `is ${isSecret(name) ? kindOf(value) : shorten(value)}`;
    return new ConnectionFileError(`The connection file ${file}: "${name}" ${found}; ${needed}`);
  };

  const transport = fields.transport ?? 'tcp';
  if (transport !== 'tcp' && transport !== 'ipc') throw wrong('transport', 'known are "tcp" and "ipc".');
  const ip = fields.ip ?? (transport === 'tcp' ? '127.0.0.1' : undefined);
  if (typeof ip !== 'string' || ip === '') {
    throw wrong(
      'ip',
      transport === 'tcp'
        ? 'an address such as "127.0.0.1" is needed.'
        : 'the path that the sockets start with is needed.',
    );
  }
  const { key } = fields;
  if (typeof key !== 'string') throw wrong('key', 'a text is needed (an empty one turns signatures off).');
  return {
    file,
    transport,
    ip,
    ports: readPorts(fields, wrong),
    key,
    hash: readHash(fields.signature_scheme, wrong),
    ...readCurve(fields, wrong),
  };
}

type Wrong = (name: string, needed: string) => ConnectionFileError;

function readPorts(fields: Record<string, unknown>, wrong: Wrong): Record<Channel, number> {
  const ports = {} as Record<Channel, number>;
  for (const channel of channels) {
    const name = portFields[channel];
    const port = fields[name];
    if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65535) {
      throw wrong(name, 'a whole number from 1 to 65535 is needed.');
    }
    const other = channels.find((c) => ports[c] === port);
    if (other) throw wrong(name, `"${portFields[other]}" is the same, but every channel needs its own port.`);
    ports[channel] = port;
  }
  return ports;
}

function readHash(scheme: unknown, wrong: Wrong): string {
  const found = typeof scheme === 'string' ? /^hmac-(.+)$/.exec(scheme)?.[1] : 'sha256';
  if (scheme !== undefined && typeof scheme !== 'string')
    throw wrong('signature_scheme', '"hmac-sha256" is usual.');
  if (found === undefined || !getHashes().includes(found)) {
    throw wrong('signature_scheme', 'needed is "hmac-" and a hash that Node has; "hmac-sha256" is usual.');
  }
  return found;
}

function readCurve(fields: Record<string, unknown>, wrong: Wrong): { curveSecretKey?: string } {
  const secret = fields.curve_secretkey ?? undefined;
  if (secret === undefined) return {};
  if (typeof secret !== 'string' || secret.length !== 40) {
    throw wrong('curve_secretkey', 'a key of CurveZMQ is needed: 40 characters of Z85.');
  }
  return { curveSecretKey: secret };
}

/** Errors end in logs; keys must not. */
function isSecret(name: string): boolean {
  return name === 'key' || name === 'curve_secretkey';
}

function kindOf(value: unknown): string {
  if (typeof value === 'string') return `a text of ${value.length} characters`;
  if (value === null || Array.isArray(value)) return value === null ? 'null' : 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function shorten(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** Where a channel's socket listens, in ZeroMQ's terms. `host` is the numeric address that `ip` stands for. */
export function address(connection: Connection, channel: Channel, host: string = connection.ip): string {
  const port = connection.ports[channel];
  if (connection.transport === 'ipc') return `ipc://${socketPath(connection, channel)}`;
  return net.isIPv6(host) ? `tcp://[${host}]:${port}` : `tcp://${host}:${port}`;
}

/** The file of a channel's socket, with the transport `ipc`. */
export function socketPath(connection: Connection, channel: Channel): string {
  return `${connection.ip}-${connection.ports[channel]}`;
}
