/** The table of contents of detlab: everything public, in alphabetical order. */
export { createRandom, hash32, type Random } from './tensor/random';
export {
  display,
  type DisplayOptions,
  displaySink,
  type DisplaySink,
  displaySymbol,
  type MimeBundle,
  setDisplaySink,
} from './plot/display';
export { tf } from './tensor/tf';
