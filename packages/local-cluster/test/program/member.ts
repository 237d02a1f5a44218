// Stands in for a master or chunkserver: listens where it was told to, notes when it was started,
// and ends on SIGTERM. With a file "refuse" in its data folder it ends at once.

import { appendFileSync, existsSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    id: { type: "string" },
    name: { type: "string" },
    dir: { type: "string" },
    listen: { type: "string" },
    peers: { type: "string" },
    "listen-data": { type: "string" },
    "listen-control": { type: "string" },
    masters: { type: "string" },
  },
});

const dir = values.dir ?? ".";
if (existsSync(join(dir, "refuse"))) {
  console.error(JSON.stringify({ level: "error", message: "told to refuse" }));
  process.exit(3);
}
appendFileSync(join(dir, "starts"), `${process.env["UV_THREADPOOL_SIZE"]}\n`);
for (const address of [values.listen, values["listen-data"], values["listen-control"]]) {
  if (address === undefined) continue;
  const [host, port] = address.split(":");
  createServer().listen(Number(port), host);
}
process.on("SIGTERM", () => process.exit(0));
