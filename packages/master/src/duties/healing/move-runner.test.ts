import { chunkHandle, epoch, inodeId, type ServerId, SILENT_LOGGER, serverId } from "@lumeofs/base";
import test from "ava";
import { type JobId, jobId } from "../../metadata/jobs.js";
import type { Server } from "../../metadata/servers.js";
import type { AuditOutcome, CopyOrder, CopyOutcome, Orders } from "../orders.js";
import { type MoveOrder, MoveRunner } from "./move-runner.js";

const JOB: JobId = jobId(1);
const LIMITS = { movesPerServer: 2, smallForOne: 8, movesMax: 100, bytesPerSecond: 0 };

function serverOf(name: string): Server {
  return { name, dataAddress: name, controlAddress: name } as Server;
}

/** Copies end when the test says so, in the order in which they began. */
class HeldOrders implements Pick<Orders, "copyReplica" | "auditReplica"> {
  readonly begun: { readonly order: CopyOrder; readonly end: () => void }[] = [];

  copyReplica(_target: Server, order: CopyOrder): Promise<CopyOutcome> {
    return new Promise((resolve) => {
      const end = () => resolve({ kind: "copied", readBytes: 0, faults: [] });
      this.begun.push({ order, end });
    });
  }

  async auditReplica(): Promise<AuditOutcome> {
    return { kind: "intact", readBytes: 0 };
  }
}

function orderOf(handle: number, target: number, sources: readonly number[]): MoveOrder {
  const isRebuilt = 1 < sources.length;
  const members = Array.from({ length: 6 }, (_, i) => serverId(i + 1));
  const coding = { data: 4, parity: 2, cellBytes: 2 ** 20, unitCrcs: [1, 2, 3, 4, 5, 6] };
  const holder = (id: ServerId) => ({ id, server: serverOf(`cs${id}`) });
  return {
    move: { handle: chunkHandle(handle), job: JOB, target: serverId(target), leaving: serverId(6) },
    chunk: {
      ...{ epoch: epoch(1), lengthBytes: 40 * 2 ** 20, crc32c: 9, inode: inodeId(1), sharers: 0 },
      ...{ releasedAt: undefined, isForked: false, listedAs: undefined, members },
      isInline: false,
      coding: isRebuilt ? coding : undefined,
    },
    target: serverOf(`cs${target}`),
    making: isRebuilt ? "rebuild" : "copy",
    sources: sources.map((id) => holder(serverId(id))),
    givers: sources.length,
  };
}

/** Everything that is due in this turn has happened. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function runnerOf(orders: HeldOrders): MoveRunner {
  const all = orders as unknown as Orders;
  return new MoveRunner({ orders: all, mandate: 7, logger: SILENT_LOGGER, limits: LIMITS });
}

test("a rebuilding names the units that it is made of, and makes all of its givers busy", async (t) => {
  const orders = new HeldOrders();
  const runner = runnerOf(orders);
  runner.start(orderOf(64, 7, [1, 2, 4, 5]));
  runner.start(orderOf(65, 8, [1, 2, 4, 5]));
  runner.start(orderOf(66, 9, [5]));
  await settled();
  t.is(orders.begun.length, 2, "server 5 gives twice already");
  const [first] = orders.begun;
  t.like(first?.order, {
    chunk: { crc32c: 6, lengthBytes: 10 * 2 ** 20 },
    sources: [],
    isUnit: true,
    mandate: 7,
    rebuild: { data: 4, parity: 2, unit: 5 },
  });
  t.deepEqual(
    first?.order.rebuild?.sources.map(({ unit, crc32c, holder }) => [unit, crc32c, holder?.id]),
    [1, 2, 4, 5].map((id) => [id - 1, id, serverId(id)]),
  );
  first?.end();
  await settled();
  t.is(orders.begun.length, 3);
  const [ended] = runner.ended(9);
  t.like(ended, { outcome: "moved", bytes: 10 * 2 ** 20 });
});

test("a unit without bytes has moved as soon as it is told", async (t) => {
  const orders = new HeldOrders();
  const runner = runnerOf(orders);
  const order = orderOf(64, 7, [1, 2, 4, 5]);
  const chunk = { ...order.chunk, lengthBytes: 1 };
  const nowhere = { ...order.move, leaving: serverId(3) };
  runner.start({ ...order, chunk, move: nowhere, making: "none", sources: [], givers: 0 });
  await settled();
  t.like(runner.ended(9)[0], { outcome: "moved", bytes: 0 });
  t.is(orders.begun.length, 0);
});

test("who needs several servers at once is not overtaken for ever", async (t) => {
  const orders = new HeldOrders();
  const runner = runnerOf(orders);
  let handle = 64;
  // Two copies at each of the servers, always, and never all of them at an end.
  const busy = () => {
    for (const id of [1, 2, 4, 5]) runner.start(orderOf(++handle, 10 + id, [id]));
  };
  busy();
  busy();
  await settled();
  runner.start(orderOf(9_999, 7, [1, 2, 4, 5]));
  for (let round = 0; round < 200; round++) {
    busy();
    const next = orders.begun.shift();
    if (next?.order.chunk.handle === 9_999) {
      t.pass(`in round ${round}`);
      return;
    }
    next?.end();
    await settled();
  }
  t.fail("it waits and waits");
});
