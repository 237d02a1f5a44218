// Ports that a test may bind, close and bind again.

import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/**
 * Below the ephemeral range of Linux: a port that the system gave out for `port: 0` may go to an
 * outgoing connection of anybody between two binds. Apart from the range of local clusters.
 */
const SEARCH_FROM = 10_000;
const SEARCH_TO = 20_000;

/** Distinct ports of loopback that nobody listens on at the moment. */
export async function findFreePorts(count: number): Promise<readonly number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = randomInt(SEARCH_FROM, SEARCH_TO);
    if (!found.has(port) && (await canListen(port))) found.add(port);
  }
  return [...found];
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => {
      server.close(() => resolve(true));
    });
  });
}
