// What the log of a chunkserver says while no master takes its store in.

import { type LogFields, type Logger, LumeoError, SILENT_LOGGER } from "@lumeofs/base";
import { SystemClock, SystemRandom, SystemTimers } from "@lumeofs/node";
import { GRPC, RpcServer, serveStream, serveUnary } from "@lumeofs/node/rpc";
import { FleetService } from "@lumeofs/proto";
import test from "ava";
import { MasterLink, type MasterLinkPorts } from "../src/master-link/master-link.js";

/** Keeps the warnings. */
function listener(warnings: { message: string; fields: LogFields | undefined }[]): Logger {
  return { ...SILENT_LOGGER, warn: (message, fields) => warnings.push({ message, fields }) };
}

test("a store of another cluster says once, aloud, why nobody takes it in", async (t) => {
  const why = "Cannot register cs1: its store belongs to cluster old, this is cluster new";
  const refusals = [
    new LumeoError("NO_LEADER", "Cannot register: no leader is known"),
    ...Array.from({ length: 3 }, () => new LumeoError("CONFIG", why)),
  ];
  let asked = 0;
  let allAsked = (): void => {};
  const whenAllAsked = new Promise<void>((resolve) => {
    allAsked = resolve;
  });
  const masters = await RpcServer.start({ host: "127.0.0.1", port: 0, logger: SILENT_LOGGER }, [
    serveUnary(FleetService.register, () => {
      const refusal = refusals[asked++];
      if (refusal === undefined) allAsked();
      return Promise.reject(refusal ?? new LumeoError("CONFIG", why));
    }),
  ]);
  const warnings: { message: string; fields: LogFields | undefined }[] = [];
  const ports = {
    identity: { uuid: "u1", membership: undefined, join: () => Promise.resolve() },
    clock: new SystemClock(),
    timers: new SystemTimers({ unref: true }),
    random: new SystemRandom(),
    network: GRPC,
    logger: listener(warnings),
  } as unknown as MasterLinkPorts; // the others are for stores that were taken in
  const config = { name: "cs1", labels: {}, dataAddress: "", controlAddress: "" };
  const link = MasterLink.start(
    { ...config, masters: [`127.0.0.1:${masters.port}`], inventoryPauseMs: 1 },
    ports,
  );
  t.teardown(async () => {
    await link.close();
    await masters.close();
  });
  await whenAllAsked;
  t.is(warnings.length, 1);
  const [told] = warnings;
  t.is(told?.message, "the masters refuse this store");
  t.like(told?.fields, { code: "CONFIG" });
  const error = told?.fields?.["error"];
  t.is(error instanceof LumeoError ? error.message : error, why);
});

test("a leader that answers no heartbeats is left for another one, and no hint leads back", async (t) => {
  const log = { port: 0, logger: SILENT_LOGGER, host: "127.0.0.1" };
  const registered: string[] = [];
  let found = (): void => {};
  const whenFound = new Promise<void>((resolve) => {
    found = resolve;
  });
  const still = await RpcServer.start(log, [
    serveUnary(FleetService.register, async () => {
      registered.push("still");
      return { serverId: 1, clusterId: "c", heartbeatMs: 50 };
    }),
    serveStream(FleetService.heartbeat, neverAnswers),
  ]);
  const stillAt = `127.0.0.1:${still.port}`;
  let asked = 0;
  const next = await RpcServer.start(log, [
    serveUnary(FleetService.register, async () => {
      registered.push("next");
      // It has not noticed yet, and names the one that stands still.
      if (++asked === 1) throw new LumeoError("NOT_LEADER", "not here", { leader: stillAt });
      found();
      return { serverId: 1, clusterId: "c", heartbeatMs: 50 };
    }),
  ]);
  const link = MasterLink.start(
    {
      ...{ name: "cs1", labels: {}, dataAddress: "", controlAddress: "", inventoryPauseMs: 10_000 },
      masters: [stillAt, `127.0.0.1:${next.port}`],
    },
    registeredPorts(),
  );
  t.teardown(async () => {
    await link.close();
    await Promise.all([still.close(), next.close()]);
  });
  await whenFound;
  t.deepEqual(registered, ["still", "next", "next"]);
});

/** Keeps its stream open until the other side gives it up. */
async function neverAnswers(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

/** Of a store that was taken in. */
function registeredPorts(): MasterLinkPorts {
  const status = { state: "serving", chunkCount: 0, usedBytes: 0, capacityBytes: 1, freeBytes: 1 };
  return {
    identity: { uuid: "u1", membership: { serverId: 1, clusterId: "c" }, join: async () => {} },
    store: { status: () => ({ ...status, highestHandle: 0 }), damaged: () => [] },
    copies: {},
    tokens: { newestKey: 0 },
    fence: { agreed: () => {}, answered: () => {} },
    stopped: { list: () => [] },
    scrub: () => ({}),
    disks: () => [],
    writesInFlight: () => 0,
    clock: new SystemClock(),
    timers: new SystemTimers({ unref: true }),
    random: new SystemRandom(),
    network: GRPC,
    logger: SILENT_LOGGER,
  } as unknown as MasterLinkPorts;
}
