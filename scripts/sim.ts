// `pnpm sim`: the deterministic simulation of the masters. It lives with their tests; this hands
// over the arguments, the terminal and the time.

interface Console {
  print(text: string): void;
  nowMs(): number;
}

const entry = new URL("../../packages/master/dist/test/sim/main.js", import.meta.url);
const simulation: { main(argv: readonly string[], console: Console): Promise<number> } =
  await import(entry.href);
process.exitCode = await simulation.main(process.argv.slice(2), {
  print: (text) => process.stdout.write(text),
  nowMs: () => performance.now(),
});
