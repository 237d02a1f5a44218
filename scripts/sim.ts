// `pnpm sim`: the deterministic simulation of the masters. It lives with their tests; this only
// hands over the arguments.

const entry = new URL("../../packages/master/dist/test/sim/main.js", import.meta.url);
const simulation: { main(argv: readonly string[]): Promise<number> } = await import(entry.href);
process.exitCode = await simulation.main(process.argv.slice(2));
