/** Modules by keys that are not known when a class is written. */
import { Module } from './module';

/**
 * A container of modules by key, as PyTorch's `ModuleDict`: in a field `resample` the module of key `3` has the names
 * `resample.3.weight`.
 */
export class ModuleDict<M extends Module> extends Module {
  constructor(modules: Readonly<Record<string, M>>) {
    super();
    Object.assign(this, modules);
  }

  /** The module of a key. @throws RangeError where there is none, naming those that there are. */
  at(key: string | number): M {
    const found: unknown = Object.hasOwn(this, key) ? Reflect.get(this, key) : undefined;
    if (found instanceof Module) return found as M;
    throw new RangeError(`ModuleDict: there is no "${key}"; there are ${Object.keys(this).join(', ')}`);
  }
}
