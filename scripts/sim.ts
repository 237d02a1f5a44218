// `pnpm sim`: the deterministic simulation of the masters, or with the first word `chunks` that of
// the chunk protocol. Each lives with the tests of its package; this hands over the arguments, the
// terminal and the time.

interface Console {
  print(text: string): void;
  nowMs(): number;
}

const [first, ...rest] = process.argv.slice(2);
const isOfChunks = first === "chunks";
const file = isOfChunks
  ? "packages/chunkserver/dist/test/replication/main.js"
  : "packages/master/dist/test/sim/main.js";
const entry = new URL(`../../${file}`, import.meta.url);
const simulation: { main(argv: readonly string[], console: Console): Promise<number> } =
  await import(entry.href);
process.exitCode = await simulation.main(isOfChunks ? rest : process.argv.slice(2), {
  print: (text) => process.stdout.write(text),
  nowMs: () => performance.now(),
});
