// Asking the machine whether ports can be bound, before processes are started that need them.

import { randomInt } from "node:crypto";
import { connect, createServer } from "node:net";
import { LumeoError } from "@lumeofs/base";
import { addressesOf, type MemberPlan, planMembers, type Topology } from "./topology.js";

/** Below the ephemeral range of Linux, so that outgoing connections do not take our ports. */
const SEARCH_FROM = 20_000;
const SEARCH_TO = 32_000;
const SEARCH_STEP = 50; // what one topology spans
const SEARCH_ATTEMPTS_MAX = 100;

/**
 * Makes sure that every port of these members can be bound now.
 *
 * @throws LumeoError CONFLICT naming the first port that is taken.
 */
export async function requireFreePorts(members: readonly MemberPlan[]): Promise<void> {
  for (const member of members) {
    for (const address of addressesOf(member)) {
      const trouble = await tryBind(address);
      if (trouble === undefined) continue;
      const port = address.slice(address.lastIndexOf(":") + 1);
      throw new LumeoError(
        "CONFLICT",
        trouble === "EADDRINUSE"
          ? `Cannot start ${member.id}: port ${port} is in use. Choose others with --port-base`
          : `Cannot start ${member.id} on ${address}: ${trouble}. Choose others with --port-base`,
      );
    }
  }
}

/** A port base at which this topology could be bound a moment ago. */
export async function findPortBase(topology: Omit<Topology, "portBase">): Promise<number> {
  for (let attempt = 0; attempt < SEARCH_ATTEMPTS_MAX; attempt++) {
    const steps = (SEARCH_TO - SEARCH_FROM) / SEARCH_STEP;
    const portBase = SEARCH_FROM + randomInt(steps) * SEARCH_STEP;
    const addresses = planMembers({ ...topology, portBase }).flatMap(addressesOf);
    const troubles = await Promise.all(addresses.map(tryBind));
    if (troubles.every((trouble) => trouble === undefined)) return portBase;
  }
  throw new LumeoError("CONFLICT", "Cannot find free ports: every range that was tried is in use");
}

/** Whether somebody listens on every address of a member. */
export async function acceptsConnections(member: MemberPlan): Promise<boolean> {
  const answers = await Promise.all(addressesOf(member).map(tryConnect));
  return answers.every(Boolean);
}

function tryConnect(address: string): Promise<boolean> {
  const { host, port } = partsOf(address);
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/** The error code of binding, or undefined if it worked. */
function tryBind(address: string): Promise<string | undefined> {
  const { host, port } = partsOf(address);
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

function partsOf(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}
