/** Errors that happened elsewhere. */

/** An error of another thread or machine, as it was there. */
export function foreignError(message: string, stack: string): Error {
  const error = new Error(message);
  if (stack !== '') error.stack = stack;
  return error;
}
