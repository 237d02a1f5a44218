// `npm run bench -- faults`: lives with the tests of the chunkserver; this hands over the
// arguments, the terminal and the time.

interface Console {
  print(text: string): void;
  nowMs(): number;
}

const entry = new URL("../../packages/chunkserver/dist/test/faults/main.js", import.meta.url);

/** Runs the enumeration of storage faults; resolves to the exit status. */
export async function runFaults(argv: readonly string[]): Promise<number> {
  const faults: { main(argv: readonly string[], console: Console): Promise<number> } = await import(
    entry.href
  );
  return faults.main(argv, {
    print: (text) => process.stdout.write(text),
    nowMs: () => performance.now(),
  });
}
