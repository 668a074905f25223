/** Where in the user's code something happened: the first frame of a stack that is neither TensorFlow.js's nor the recorder's. */
import path from 'node:path';

const own: string = path.dirname(__dirname) + path.sep;

/** `at name (file:line:column)` of the innermost frame outside `node_modules`, Node and this folder's machinery; '' if there is none. */
export function placeOf(error: Error): string {
  const frames = (error.stack ?? '').split('\n').filter((line) => line.startsWith('    at '));
  const user = frames.find(
    (frame) =>
      !frame.includes('node_modules') &&
      !frame.includes('node:') &&
      !frame.includes(own) &&
      !frame.includes('(<anonymous>)'),
  );
  return user?.trim() ?? '';
}

/** An error with room for the user's frame: TensorFlow.js stacks more than the ten that V8 keeps. Read its `stack` only when needed. */
export function hereError(): Error {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 60;
  const error = new Error();
  Error.stackTraceLimit = limit;
  return error;
}
