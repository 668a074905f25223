/** The parts of the kernel that need no sockets: the connection file, positions, history, frames. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { toCodePoints, toUnits } from '../../../lib/notebook/protocol/code-points';
import {
  address,
  ConnectionFileError,
  parseConnection,
  readConnection,
} from '../../../lib/notebook/protocol/connection';
import { History, type HistoryQuery } from '../../../lib/notebook/protocol/history';
import { Wire } from '../../../lib/notebook/protocol/wire';
import { UsageError } from '../../../lib/notebook/runner/select';
import { temporaryFolder } from '../helpers';

const good = {
  transport: 'tcp',
  ip: '127.0.0.1',
  shell_port: 5001,
  iopub_port: 5002,
  stdin_port: 5003,
  control_port: 5004,
  hb_port: 5005,
  key: 'secret',
  signature_scheme: 'hmac-sha256',
};
const parse = (changes: object): ReturnType<typeof parseConnection> =>
  parseConnection(JSON.stringify({ ...good, ...changes }), 'k.json');

describe('the connection file', () => {
  test('is read, with fields that nobody knows left alone', () => {
    expect(parse({ kernel_name: 'detlab', jupyter_session: 'a.ipynb', later: {} })).toEqual({
      file: 'k.json',
      transport: 'tcp',
      ip: '127.0.0.1',
      ports: { shell: 5001, iopub: 5002, stdin: 5003, control: 5004, heartbeat: 5005 },
      key: 'secret',
      hash: 'sha256',
    });
  });

  test('transport, address and scheme have the defaults that Jupyter has', () => {
    const { transport, ip, hash } = parse({
      transport: undefined,
      ip: undefined,
      signature_scheme: undefined,
    });
    expect({ transport, ip, hash }).toEqual({ transport: 'tcp', ip: '127.0.0.1', hash: 'sha256' });
  });

  test.each<[object, RegExp]>([
    [{ shell_port: undefined }, /k\.json: "shell_port" is missing; a whole number from 1 to 65535/],
    [{ hb_port: 0 }, /"hb_port" is 0; /],
    [{ hb_port: 70000 }, /"hb_port" is 70000; /],
    [{ iopub_port: '5002' }, /"iopub_port" is "5002"; /],
    [{ control_port: 5002 }, /"control_port" is 5002; "iopub_port" is the same/],
    [{ key: undefined }, /"key" is missing; a text is needed \(an empty one/],
    [{ key: 12345 }, /"key" is a number; /],
    [{ transport: 'udp' }, /"transport" is "udp"; known are "tcp" and "ipc"/],
    [{ transport: 'ipc', ip: undefined }, /"ip" is missing; the path/],
    [{ ip: 7 }, /"ip" is 7; an address such as/],
    [{ signature_scheme: 'hmac-rot13' }, /"signature_scheme" is "hmac-rot13"; .*hmac-sha256/],
    [{ signature_scheme: 'sha256' }, /"signature_scheme" is "sha256"/],
    [{ signature_scheme: 1 }, /"signature_scheme" is 1/],
    [{ curve_secretkey: 'short secret' }, /"curve_secretkey" is a text of 12 characters; /],
  ])('%j is refused by name and value', (changes, message) => {
    expect(() => parse(changes)).toThrow(message);
    expect(() => parse(changes)).toThrow(ConnectionFileError);
    // What the command line prints without a stack.
    expect(() => parse(changes)).toThrow(UsageError);
  });

  test('a secret does not appear in errors', () => {
    for (const changes of [{ key: 987654 }, { curve_secretkey: 987654 }])
      expect(() => parse(changes)).not.toThrow(/987654/);
  });

  test('what is no JSON object is refused with the place', () => {
    expect(() => parseConnection('{\n  "ip": }', 'k.json')).toThrow(/k\.json is not JSON: line 2, column 9/);
    expect(() => parseConnection('', 'k.json')).toThrow(/k\.json is not JSON/);
    expect(() => parseConnection('[1]', 'k.json')).toThrow(/k\.json holds no JSON object/);
    expect(() => parseConnection('null', 'k.json')).toThrow(/k\.json holds no JSON object/);
  });

  test('a file that is not there, or is a folder, says so', () => {
    const folder = temporaryFolder();
    const missing = path.join(folder, 'none.json');
    expect(() => readConnection(missing)).toThrow(
      `The connection file ${missing} does not exist. Jupyter writes`,
    );
    expect(() => readConnection(folder)).toThrow(`${folder} is a folder`);
    fs.rmSync(folder, { recursive: true });
  });

  test('gives the addresses of the sockets', () => {
    expect(address(parse({}), 'shell')).toBe('tcp://127.0.0.1:5001');
    expect(address(parse({ ip: '::1' }), 'heartbeat')).toBe('tcp://[::1]:5005');
    expect(address(parse({ ip: 'localhost' }), 'iopub', '127.0.0.1')).toBe('tcp://127.0.0.1:5002');
    expect(address(parse({ transport: 'ipc', ip: '/run/kernel' }), 'stdin')).toBe('ipc:///run/kernel-5003');
  });
});

describe('positions', () => {
  const text = 'a😀b\u0301😀';

  test('count code points on the wire and UTF-16 units inside', () => {
    expect([0, 1, 2, 3, 4, 5].map((n) => toUnits(text, n))).toEqual([0, 1, 3, 4, 5, 7]);
    expect([0, 1, 3, 4, 5, 7].map((n) => toCodePoints(text, n))).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('beyond the end is the end', () => {
    expect(toUnits(text, 99)).toBe(7);
    expect(toCodePoints(text, 99)).toBe(5);
    expect(toUnits('', 3)).toBe(0);
  });

  test('half a pair counts as one', () => {
    expect(toUnits('\ud83d!', 1)).toBe(1);
    expect(toCodePoints('\ud83d!', 2)).toBe(2);
  });
});

describe('history', () => {
  const history = new History();
  ['let a = 1', 'a * 2', 'f(\n  a\n)', 'a * 2', 'x[0]'].forEach((source, i) => history.add(i + 1, source));
  const lines = (query: Partial<HistoryQuery>): number[] =>
    history
      .find({ access: 'tail', session: 0, start: 0, pattern: '*', unique: false, ...query })
      .map(({ line }) => line);

  test('tail: the last ones, oldest first', () => {
    expect(lines({ n: 2 })).toEqual([4, 5]);
    expect(lines({ n: 0 })).toEqual([]);
    expect(lines({ n: 99 })).toEqual([1, 2, 3, 4, 5]);
  });

  test('range: the end is exclusive, and earlier sessions are empty', () => {
    expect(lines({ access: 'range', start: 2, stop: 4 })).toEqual([2, 3]);
    expect(lines({ access: 'range', session: 1, start: 4 })).toEqual([4, 5]);
    expect(lines({ access: 'range', session: -1 })).toEqual([]);
    expect(lines({ access: 'range', session: 2 })).toEqual([]);
  });

  test.each<[string, number[]]>([
    ['*', [1, 2, 3, 4, 5]],
    ['a*', [2, 4]],
    ['f(*)', [3]],
    ['a ? 2', [2, 4]],
    ['a', []],
    ['[lx]*', [1, 5]],
    ['[!a]*', [1, 3, 5]],
    ['[^a]*', [1, 3, 5]],
    ['x[[]0]', [5]],
    ['x\\[0]', []],
    ['[z-a]', []],
    ['a.*', []],
  ])('search for %s', (pattern, found) => {
    expect(lines({ access: 'search', pattern })).toEqual(found);
  });

  test('search without repetitions, and the last ones of what was found', () => {
    expect(lines({ access: 'search', unique: true })).toEqual([1, 3, 4, 5]);
    expect(lines({ access: 'search', pattern: 'a*', n: 1 })).toEqual([4]);
  });
});

describe('frames', () => {
  test('what is written can be read, with identities before and buffers behind', () => {
    const wire = new Wire({ key: 'k', hash: 'sha256' });
    const frames = wire.encode('a_request', { text: 'ä😀' }, { msg_id: 'p' }, { m: 1 });
    const message = wire.decode([Buffer.from('id'), ...frames, Buffer.from([1, 2])]);
    expect(message).toMatchObject({
      identities: [Buffer.from('id')],
      header: { msg_type: 'a_request', session: wire.session },
      parentHeader: { msg_id: 'p' },
      metadata: { m: 1 },
      content: { text: 'ä😀' },
      buffers: [Buffer.from([1, 2])],
    });
  });

  test('of many signatures the oldest is forgotten, the recent ones are not', () => {
    const wire = new Wire({ key: 'k', hash: 'sha256' }, Infinity, 5);
    const first = wire.encode('first', {});
    wire.decode(first);
    const second = wire.encode('second', {});
    wire.decode(second);
    for (let i = 0; i < 4; i++) wire.decode(wire.encode('x', {}));
    expect(() => wire.decode(second)).toThrow(/sent before/);
    expect(wire.decode(first).header.msg_type).toBe('first');
  });
});
