/** Networks (lib/nn's `Module`), told by what they can do: the kernel does not load TensorFlow.js only to recognise one. */
import { formatCount } from '../../plot/format';
import type { Module } from '../../nn/module';

/** Whether a value is a layer or network of this library. */
export function isModule(value: unknown): value is Module {
  if (typeof value !== 'object' || value === null) return false;
  const module = value as Partial<Module>;
  return typeof module.namedVariables === 'function' && typeof module.parameterCount === 'function';
}

/** A network in one line: "Ssd (26,285,486 parameters)". */
export function moduleLine(module: Module): string {
  return `${className(module)} (${formatCount(module.parameterCount(), 'parameter')})`;
}

/** The name of a value's class. */
export function className(value: object): string {
  return value.constructor?.name || 'Object';
}
