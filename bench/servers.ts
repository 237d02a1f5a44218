// Server programs of peers: free ports for them, and their end.

import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";

const STOP_GRACE_MS = 5_000;

/** Ports that are free now; all are held until all are found, so that they differ. */
export async function freePorts(count: number, host: string): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, host);
      await once(server, "listening");
      return server;
    }),
  );
  return Promise.all(
    servers.map(async (server) => {
      const address = server.address();
      server.close();
      await once(server, "close");
      return typeof address === "object" && address !== null ? address.port : 0;
    }),
  );
}

/** Ends a program of ours: asked first, killed after a while. */
export async function stopServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const force = setTimeout(() => child.kill("SIGKILL"), STOP_GRACE_MS);
  await ended;
  clearTimeout(force);
}
