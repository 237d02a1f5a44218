// A server process for tests: one method that answers, or breaks an invariant if it is told to.
// Prints its address when it serves.

import { InvariantViolation, invariant } from "@lumeofs/base";
import { AdminService } from "@lumeofs/proto";
import { JsonLogger, runProcess } from "../../src/index.js";
import { RpcServer, serveUnary } from "../../src/rpc/index.js";

const [mode = "good", port = "0"] = process.argv.slice(2);
const logger = await JsonLogger.open({ level: "info" });

const answer = serveUnary(AdminService.getMasterStatus, async () => {
  invariant(mode !== "broken", "applied passed committed", { applied: 2, committed: 1 });
  return { status: { id: "m1" } };
});

await runProcess({
  logger,
  start: async () => {
    if (mode === "late") setImmediate(() => Promise.reject(new InvariantViolation("too late")));
    const options = { host: "127.0.0.1", port: Number(port), logger };
    const server = await RpcServer.start(options, [answer]);
    process.stdout.write(`${server.address}\n`);
    return server;
  },
});
