// `pnpm sim`: the deterministic simulation of the masters, with the first word `chunks` that of the
// chunk protocol, or with `cluster` that of whole clusters. This hands over the arguments, the
// terminal and the time.

interface Console {
  print(text: string): void;
  nowMs(): number;
}

const OTHERS: Readonly<Record<string, string>> = {
  chunks: "packages/chunkserver/dist/test/replication/main.js",
  cluster: "packages/simulation/dist/src/command-line.js",
};

const [first = "", ...rest] = process.argv.slice(2);
const other = OTHERS[first];
const entry = new URL(`../../${other ?? "packages/master/dist/test/sim/main.js"}`, import.meta.url);
const simulation: { main(argv: readonly string[], console: Console): Promise<number> } =
  await import(entry.href);
process.exitCode = await simulation.main(other === undefined ? process.argv.slice(2) : rest, {
  print: (text) => process.stdout.write(text),
  nowMs: () => performance.now(),
});
