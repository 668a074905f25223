/**
 * Reads the part of Python's pickle format that checkpoints of tensors are written in. Nothing is ever run: a pickle is a program for a
 * small machine with a stack, whose one dangerous instruction is to name any function and call it. Here a name that the reader does not
 * know by heart ends the reading.
 */

/** What a pickle may hold. Dictionaries are maps, lists and tuples arrays, integers beyond 2^53 bigints. */
export type PickleValue =
  null | boolean | number | bigint | string | PickleValue[] | Map<PickleValue, PickleValue> | object;

/** What the reader knows: each function by its Python name, `module.name`, and what stands for stored data. */
export interface PickleWorld {
  /** What a call of a known function gives; `undefined` for a name that is unknown. A name alone is its value until it is called. */
  readonly functions: ReadonlyMap<string, (args: PickleValue[]) => PickleValue>;
  /** What an identifier of something outside of the pickle stands for. */
  readonly persistent: (id: PickleValue) => PickleValue;
}

/** A known function that was named but not called. */
export class PickledName {
  constructor(readonly name: string) {}
}

/** The bytes end before the pickle does. */
export class PickleTruncated extends RangeError {
  constructor() {
    super('the pickle is cut short');
  }
}

/** Bytes that Python's integers may have here; one with megabytes of digits is no number of a checkpoint. */
const longestInteger = 32;

/**
 * A checkpoint of thousands of tensors takes some hundred thousand instructions. Without bounds a pickle of a few megabytes could fill the
 * memory with empty dictionaries, or keep the reader busy for hours.
 */
const mostInstructions = 10_000_000;
const mostContainers = 1_000_000;

/**
 * Reads the pickle that begins at `start`.
 * @returns its value and the position behind it.
 * @throws naming the function that the pickle wants to call and may not, or the instruction that no checkpoint has.
 */
export function unpickle(
  bytes: Uint8Array,
  start: number,
  world: PickleWorld,
): { value: PickleValue; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = new TextDecoder('utf-8', { fatal: true });
  const stack: PickleValue[] = [];
  const marks: number[] = [];
  const memo = new Map<number, PickleValue>();
  let at = start;
  let instructions = 0;
  let containers = 0;
  /** Values that calls were given: each can be named by two bytes, however long it is. */
  let handed = 0;

  const take = (length: number): number => {
    if (at + length > bytes.length) throw new PickleTruncated();
    at += length;
    return at - length;
  };
  const string = (length: number): string => text.decode(bytes.subarray(take(length), at));
  const line = (): string => {
    const end = bytes.indexOf(10, at);
    if (end < 0) throw new PickleTruncated();
    const found = string(end - at);
    take(1);
    return found;
  };
  const damaged = (what: string): Error => new RangeError(`the pickle is damaged at byte ${at}: ${what}`);
  const pop = (): PickleValue => {
    if (stack.length <= (marks[marks.length - 1] ?? 0)) throw damaged('its stack is empty');
    return stack.pop() as PickleValue;
  };
  const made = <T extends PickleValue>(container: T): T => {
    if (++containers > mostContainers)
      throw damaged(`more than ${mostContainers} lists and dictionaries; no checkpoint has so many`);
    return container;
  };
  const call = (callee: PickledName, args: PickleValue[]): PickleValue => {
    handed += args.reduce<number>((sum, value) => sum + 1 + (Array.isArray(value) ? value.length : 0), 0);
    if (handed > 4 * bytes.length) throw damaged('it copies the same values again and again');
    return made(world.functions.get(callee.name)!(args));
  };
  const remember = (index: number): void => {
    if (memo.size >= mostContainers && !memo.has(index)) throw damaged('it remembers too much');
    memo.set(index, top());
  };
  const top = (): PickleValue => {
    if (stack.length === 0) throw damaged('its stack is empty');
    return stack[stack.length - 1];
  };
  const popMark = (): PickleValue[] => {
    const mark = marks.pop();
    if (mark === undefined) throw damaged('a mark is missing');
    return stack.splice(mark);
  };
  const integer = (length: number): number | bigint => {
    if (length > longestInteger) throw damaged(`an integer of ${length} bytes`);
    const from = take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[from + i]);
    value = BigInt.asIntN(8 * length, value);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  };
  const setItems = (target: PickleValue, items: PickleValue[]): void => {
    if (!(target instanceof Map) || items.length % 2 !== 0) throw damaged('items for what is no dictionary');
    for (let i = 0; i < items.length; i += 2) target.set(items[i], items[i + 1]);
  };
  const append = (target: PickleValue, items: PickleValue[]): void => {
    if (!Array.isArray(target)) throw damaged('items for what is no list');
    for (const item of items) target.push(item);
  };
  const tuple = (length: number): PickleValue[] => Array.from({ length }, () => pop()).reverse();
  const named = (module: string, name: string): PickledName => {
    const full = `${module}.${name}`;
    if (!world.functions.has(full)) {
      throw new RangeError(
        `the pickle asks for ${full}, which is no part of a dictionary of tensors; nothing was run. ` +
          `In Python, save the state dictionary alone: torch.save(model.state_dict(), file), or as safetensors`,
      );
    }
    return new PickledName(full);
  };
  const recall = (index: number): PickleValue => {
    if (!memo.has(index)) throw damaged(`nothing was remembered as ${index}`);
    return memo.get(index) as PickleValue;
  };

  for (;;) {
    const opcode = bytes[take(1)];
    if (++instructions > mostInstructions)
      throw damaged(`more than ${mostInstructions} instructions; no checkpoint has so many`);
    switch (opcode) {
      case 0x80: // PROTO
        if (bytes[take(1)] > 5) throw damaged(`protocol ${bytes[at - 1]} is unknown`);
        break;
      case 0x95: // FRAME
        take(8);
        break;
      case 0x2e: // STOP
        return { value: pop(), end: at };
      case 0x28: // MARK
        marks.push(stack.length);
        break;
      case 0x30: // POP
        pop();
        break;
      case 0x31: // POP_MARK
        popMark();
        break;
      case 0x4e: // NONE
        stack.push(null);
        break;
      case 0x88: // NEWTRUE
      case 0x89: // NEWFALSE
        stack.push(opcode === 0x88);
        break;
      case 0x4a: // BININT
        stack.push(view.getInt32(take(4), true));
        break;
      case 0x4b: // BININT1
        stack.push(bytes[take(1)]);
        break;
      case 0x4d: // BININT2
        stack.push(view.getUint16(take(2), true));
        break;
      case 0x8a: // LONG1
        stack.push(integer(bytes[take(1)]));
        break;
      case 0x47: // BINFLOAT
        stack.push(view.getFloat64(take(8), false));
        break;
      case 0x58: // BINUNICODE
      case 0x54: // BINSTRING, of Python 2
        stack.push(string(view.getUint32(take(4), true)));
        break;
      case 0x8c: // SHORT_BINUNICODE
      case 0x55: // SHORT_BINSTRING, of Python 2
        stack.push(string(bytes[take(1)]));
        break;
      case 0x5d: // EMPTY_LIST
      case 0x29: // EMPTY_TUPLE
        stack.push(made([]));
        break;
      case 0x7d: // EMPTY_DICT
        stack.push(made(new Map()));
        break;
      case 0x61: {
        // APPEND
        const item = pop();
        append(top(), [item]);
        break;
      }
      case 0x65: {
        // APPENDS
        const items = popMark();
        append(top(), items);
        break;
      }
      case 0x74: // TUPLE
        stack.push(made(popMark()));
        break;
      case 0x85: // TUPLE1, TUPLE2, TUPLE3
      case 0x86:
      case 0x87:
        stack.push(made(tuple(opcode - 0x84)));
        break;
      case 0x73: {
        // SETITEM
        const item = tuple(2);
        setItems(top(), item);
        break;
      }
      case 0x75: {
        // SETITEMS
        const items = popMark();
        setItems(top(), items);
        break;
      }
      case 0x71: // BINPUT
        remember(bytes[take(1)]);
        break;
      case 0x72: // LONG_BINPUT
        remember(view.getUint32(take(4), true));
        break;
      case 0x94: // MEMOIZE
        remember(memo.size);
        break;
      case 0x68: // BINGET
        stack.push(recall(bytes[take(1)]));
        break;
      case 0x6a: // LONG_BINGET
        stack.push(recall(view.getUint32(take(4), true)));
        break;
      case 0x63: {
        // GLOBAL
        const module = line();
        stack.push(named(module, line()));
        break;
      }
      case 0x93: {
        // STACK_GLOBAL
        const [module, name] = tuple(2);
        if (typeof module !== 'string' || typeof name !== 'string') throw damaged('a name that is no text');
        stack.push(named(module, name));
        break;
      }
      case 0x52: {
        // REDUCE: a call
        const [callee, args] = tuple(2);
        if (!(callee instanceof PickledName) || !Array.isArray(args))
          throw damaged('a call of what is no function');
        stack.push(call(callee, args));
        break;
      }
      case 0x62: // BUILD: attributes, which a dictionary of tensors does not need
        pop();
        top();
        break;
      case 0x51: // BINPERSID
        stack.push(world.persistent(pop()));
        break;
      default:
        throw damaged(`no checkpoint has the instruction 0x${opcode.toString(16).padStart(2, '0')}`);
    }
  }
}
