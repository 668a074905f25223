/** The command line: `start`, `doctor`, `prepare`, `scenes`, `test`, `bench`, `build`. */
export async function main(argv: string[]): Promise<number> {
  console.log(argv);
  return 0;
}
