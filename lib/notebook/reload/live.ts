/** What the variables of a running module hold. */
import type { Ts } from './compile';
import type { LoadedModule } from './loads';
import type { Unit } from './units';

/**
 * Whether a module's state holds something: another value or content than when the module loaded. Where it does not, nothing
 * depends on its past.
 */
export function isLive(ts: Ts, loaded: LoadedModule, unit: Unit): boolean {
  const [name] = unit.names;
  if (!loaded.scope || unit.names.length !== 1) return true;
  let value: unknown;
  try {
    value = loaded.scope(name);
  } catch {
    return true;
  }
  const { initializer } = unit;
  if (initializer === undefined) return value !== undefined;
  if (ts.isNewExpression(initializer) && (value instanceof Map || value instanceof Set))
    return value.size > 0;
  if (ts.isArrayLiteralExpression(initializer) && initializer.elements.length === 0) {
    return !Array.isArray(value) || value.length > 0;
  }
  if (ts.isObjectLiteralExpression(initializer) && initializer.properties.length === 0) {
    return typeof value !== 'object' || value === null || Object.keys(value).length > 0;
  }
  const initial = literal(initializer.getText());
  return initial === undefined || initial.value !== value;
}

/** Whether the value of a constant that was computed is data alone; a function or an object with methods may hold state. */
export function isPlain(loaded: LoadedModule, { names }: Unit): boolean {
  try {
    return names.every((name) => isData(loaded.scope?.(name), 8));
  } catch {
    return false;
  }
}

function isData(value: unknown, depth: number): boolean {
  if (typeof value === 'function') return false;
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return true;
  if (value instanceof RegExp || value instanceof Date) return true;
  if (depth === 0) return false;
  const every = (values: Iterable<unknown>): boolean =>
    [...values].every((inner) => isData(inner, depth - 1));
  if (Array.isArray(value) || value instanceof Set) return every(value);
  if (value instanceof Map) return every(value.keys()) && every(value.values());
  const prototype = Object.getPrototypeOf(value) as unknown;
  return (prototype === null || prototype === Object.prototype) && every(Object.values(value));
}

function literal(text: string): { value: unknown } | undefined {
  if (text === 'undefined' || text === 'void 0') return { value: undefined };
  try {
    const value: unknown = JSON.parse(text.replace(/^'(.*)'$/, '"$1"'));
    return typeof value === 'object' && value !== null ? undefined : { value };
  } catch {
    return undefined;
  }
}
