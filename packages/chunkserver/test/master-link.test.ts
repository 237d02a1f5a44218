// What the log of a chunkserver says while no master takes its store in.

import { type LogFields, type Logger, LumeoError, SILENT_LOGGER } from "@lumeofs/base";
import { SystemClock, SystemRandom, SystemTimers } from "@lumeofs/node";
import { GRPC, RpcServer, serveUnary } from "@lumeofs/node/rpc";
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
