// Two primaries that wrote one chunk without knowing of each other: nobody can say which bytes are
// right, so no server gives them out any more, and operators see an alarm.

import { writeFileSync } from "node:fs";
import { chunkHandle, crc32c, epoch } from "@lumeofs/base";
import { blockCrcs, FramePool } from "@lumeofs/node/frames";
import { RpcChannel, unary } from "@lumeofs/node/rpc";
import { ControlService, lumeo } from "@lumeofs/proto";
import anyTest, { type TestFn } from "ava";
import { Drill } from "./drill.js";

const test = anyTest as TestFn<{ drill: Drill }>;
const LIMITS = { timeoutMs: 20_000 };
/** From a chunkserver's data plane to its control service. */
const CONTROL_PORTS_BEHIND = 20;

interface Copy {
  readonly server: number;
  readonly address: string;
  readonly role: string;
}

interface Chunk {
  readonly handle: number;
  readonly lengthBytes: number;
  readonly crc32c: number;
  readonly replicas: readonly Copy[];
}

interface Status {
  readonly chunkservers: readonly { readonly id: string; readonly stopped: readonly number[] }[];
}

test.before(async (t) => {
  // With tokens nobody writes to a server what the masters have not granted.
  const environment = { LUMEO_CHUNKSERVER_TOKENS: "off" };
  t.context = { drill: await Drill.start({ masters: 1, chunkservers: 3 }, environment) };
});
test.after.always(async (t) => {
  await t.context.drill.stop();
});

/** A call to the control service beside a data address. */
async function control<T>(address: string, call: (channel: RpcChannel) => Promise<T>): Promise<T> {
  const [host, port] = address.split(":");
  const channel = new RpcChannel(`${host}:${Number(port) + CONTROL_PORTS_BEHIND}`);
  try {
    return await call(channel);
  } finally {
    await channel.close();
  }
}

/** Writes a chunk to one server alone, which so becomes the primary of a history of its own. */
async function writeAlone(address: string, handle: number, bytes: Uint8Array): Promise<void> {
  const hello = { type: "hello" as const, role: "client" as const, clusterId: "", name: "rogue" };
  const pool = new FramePool({ hello: () => hello });
  try {
    const connection = await pool.shared({ address });
    const target = { handle: chunkHandle(handle), epoch: epoch(1), chain: [] };
    const content = { length: bytes.byteLength, crc32c: crc32c(bytes) };
    const crcs = blockCrcs([bytes], crc32c);
    const exchange = connection.request({ type: "writeSmall", ...target, ...content, crcs }, [
      bytes,
    ]);
    await exchange.receive();
    exchange.finish();
  } finally {
    await pool.close();
  }
}

test.serial("a chunk with two histories is stopped on every server, and alarms", async (t) => {
  const { drill } = t.context;
  const bytes = Buffer.from(`two ${"histories ".repeat(50)}`);
  writeFileSync(drill.at("two"), bytes);
  await drill.ok(t, ["put", "--no-inline", drill.at("two"), "/two"]);
  const chunks = await drill.json<Chunk>(t, ["chunk", "ls"]);
  const chunk = chunks.find((one) => one.lengthBytes === bytes.length);
  const auditor = chunk?.replicas.find((one) => one.role === "primary");
  const rogue = chunk?.replicas.find((one) => one.role === "secondary");
  if (chunk === undefined || auditor === undefined || rogue === undefined) return t.fail();
  const { handle, lengthBytes } = chunk;

  await control(rogue.address, async (channel) => {
    const { storeUuid } = await unary(channel, ControlService.getStatus, {}, LIMITS);
    const order = { storeUuid: storeUuid ?? "", replicas: [{ handle, epoch: 1 }] };
    await unary(channel, ControlService.deleteReplicas, order, LIMITS);
  });
  await writeAlone(rogue.address, handle, bytes);
  const audit = {
    chunk: { handle, epoch: 1, lengthBytes, crc32c: chunk.crc32c },
    holder: { serverId: rogue.server, dataAddress: rogue.address },
  };
  const { verdict } = await control(auditor.address, (channel) => {
    return unary(channel, ControlService.auditReplica, audit, LIMITS);
  });
  t.is(verdict, lumeo.chunkserver.v1.AuditVerdict.AUDIT_VERDICT_TWO_HISTORIES);

  const isStoppedEverywhere = async (): Promise<boolean> => {
    const [status] = await drill.json<Status>(t, ["cluster", "status"]);
    const stopped = status?.chunkservers.map((server) => server.stopped) ?? [];
    return stopped.length === 3 && stopped.every((handles) => handles.includes(handle));
  };
  await drill.until(t, "all servers to stop the chunk", isStoppedEverywhere);
  t.regex(await drill.ok(t, ["cluster", "status"]), new RegExp(`ALARM: chunk ${handle} has two`));
  t.regex(await drill.ok(t, ["chunk", "show", String(handle)]), /stopped: two histories/);
  const { status, stderr } = await drill.run(["cat", "/two"]);
  t.is(status, 7, stderr);

  await drill.restartAll();
  await drill.until(t, "the alarm after a restart", isStoppedEverywhere);
});
