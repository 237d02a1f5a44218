// Two or three members' transports on loopback, without Raft behind them.

import { type NodeId, nodeId, SILENT_LOGGER } from "@lumeofs/base";
import { SystemTimers } from "@lumeofs/node";
import { RpcServer } from "@lumeofs/node/rpc";
import test from "ava";
import { entry, meta } from "../../test/contract/log-store.js";
import type { PeerListener, SnapshotOffer } from "../consensus/peer-link.js";
import { logIndex, type Membership, term } from "../raft/entry.js";
import { founders } from "../raft/membership.js";
import type { RaftMessage } from "../raft/message.js";
import { RaftTransport } from "./raft-service.js";

const [M1, M2] = [nodeId("m1"), nodeId("m2")];
const timers = new SystemTimers();

class Side {
  readonly received: { from: NodeId; message: RaftMessage }[] = [];
  readonly unreachable: NodeId[] = [];
  readonly gone: NodeId[] = [];
  readonly identified = new Map<NodeId, string>();
  readonly disowned: string[] = [];
  store: string;
  address = "";
  heldBytes: number | undefined = 0;
  readonly offers: { offer: SnapshotOffer; bytes: Uint8Array }[] = [];
  transport: RaftTransport | undefined;
  server: RpcServer | undefined;

  constructor(
    readonly id: NodeId,
    readonly clusterId = "c",
  ) {
    this.store = `store of ${id}`;
  }

  /** Serves at a port of its own; connects when `join` says where the others are. */
  async join(members: Record<NodeId, string>, port = 0): Promise<void> {
    const { id: self, clusterId } = this;
    const logger = SILENT_LOGGER;
    this.transport = new RaftTransport({ clusterId, self, hints: {}, timers, logger });
    const options = { host: "127.0.0.1", port, logger, closeGraceMs: 50 };
    this.server = await RpcServer.start(options, this.transport.methods);
    members[self] = this.server.address;
  }

  /** @param group Its addresses are looked up when a connection is tried. */
  listen(group: Membership): void {
    const listener: PeerListener = {
      identified: (peer, { store }) => this.identified.set(peer, store),
      disowned: (peer, why) => this.disowned.push(`${peer}: ${why}`),
      received: (from, message) => this.received.push({ from, message }),
      unreachable: (peer) => this.unreachable.push(peer),
      gone: (peer) => this.gone.push(peer),
      offered: async () => this.heldBytes,
      arriving: async (_from, offer, { pieces }) => {
        const all: Uint8Array[] = [];
        for await (const piece of pieces) all.push(new Uint8Array(piece));
        this.offers.push({ offer, bytes: Buffer.concat(all) });
        return true;
      },
    };
    this.transport?.listen(listener, { store: this.store, address: this.address });
    this.follow(group);
  }

  follow(group: Membership): void {
    const [current, settled] = [group, group];
    this.transport?.follow({ current, settled, settledIndex: logIndex(1), reach: group.addresses });
  }

  async leave(): Promise<void> {
    await this.server?.close();
    await this.transport?.close();
  }
}

async function pair(
  clusterOfSecond = "c",
): Promise<{ a: Side; b: Side; members: Record<NodeId, string> }> {
  const [a, b] = [new Side(M1), new Side(M2, clusterOfSecond)];
  const members: Record<NodeId, string> = { [M1]: "", [M2]: "" };
  await a.join(members);
  await b.join(members);
  a.listen(founders(members));
  b.listen(founders(members));
  return { a, b, members };
}

async function until(condition: () => boolean, act: () => void = () => {}): Promise<void> {
  while (!condition()) {
    act();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const heartbeat = (round: number): RaftMessage => ({
  kind: "heartbeat",
  term: term(1),
  commit: logIndex(0),
  round,
});

const append = (from: number): RaftMessage => ({
  kind: "append",
  term: term(1),
  previousIndex: logIndex(from - 1),
  previousTerm: term(from === 1 ? 0 : 1),
  commit: logIndex(0),
  entries: [entry(from, 1, "x".repeat(10_000))],
});

const rounds = (side: Side) =>
  side.received.flatMap(({ message }) => ("round" in message ? [message.round] : []));

/** Repeats until the connection stands, as Raft does. */
async function connected(from: Side, to: Side): Promise<void> {
  const send = () => from.transport?.send(to.id, heartbeat(999));
  await until(() => rounds(to).includes(999), send);
  const replied = () =>
    to.transport?.send(from.id, { kind: "heartbeatReply", term: term(1), round: 998 });
  await until(() => rounds(from).includes(998), replied);
  await until(
    () => to.received.some(({ message }) => message.kind === "append"),
    () => from.transport?.send(to.id, append(1)),
  );
}

test("Requests arrive in order, and replies come back on the stream that they answer", async (t) => {
  const { a, b } = await pair();
  try {
    await connected(a, b);
    for (let i = 1; i <= 200; i++) a.transport?.send(M2, heartbeat(i));
    await until(() => rounds(b).includes(200));
    t.deepEqual(
      rounds(b).filter((n) => n <= 200),
      Array.from({ length: 200 }, (_, i) => i + 1),
    );
    t.true(b.received.every(({ from }) => from === M1));
    for (let i = 1; i <= 200; i++) {
      b.transport?.send(M1, { kind: "heartbeatReply", term: term(1), round: i });
    }
    await until(() => rounds(a).includes(200));
    t.deepEqual(
      rounds(a).filter((n) => n <= 200),
      Array.from({ length: 200 }, (_, i) => i + 1),
    );
  } finally {
    await Promise.all([a.leave(), b.leave()]);
  }
});

test("Many entries arrive whole and in order", async (t) => {
  const { a, b } = await pair();
  try {
    await connected(a, b);
    b.received.length = 0;
    for (let i = 2; i <= 500; i++) a.transport?.send(M2, append(i));
    await until(() => 499 <= b.received.filter(({ message }) => message.kind === "append").length);
    const indexes = b.received.flatMap(({ message }) =>
      message.kind === "append" ? message.entries.map(({ index }) => index as number) : [],
    );
    t.deepEqual(
      indexes.filter((index) => 1 < index),
      Array.from({ length: 499 }, (_, i) => i + 2),
    );
  } finally {
    await Promise.all([a.leave(), b.leave()]);
  }
});

test("Too many waiting bytes are dropped and reported, and nothing waits for them", async (t) => {
  const { a, b } = await pair();
  try {
    await connected(a, b);
    const before = a.unreachable.length;
    const large = append(2);
    const entries = Array.from({ length: 30 }, (_, i) => entry(2 + i, 1, "x".repeat(1_000_000)));
    for (let i = 0; i < 4; i++) a.transport?.send(M2, { ...large, entries } as RaftMessage);
    t.true(before < a.unreachable.length);
    a.transport?.send(M2, heartbeat(7));
    await until(() => rounds(b).includes(7));
  } finally {
    await Promise.all([a.leave(), b.leave()]);
  }
});

test("A peer that comes back is connected again, and was reported as unreachable", async (t) => {
  const { a, b, members } = await pair();
  let again: Side | undefined;
  try {
    await connected(a, b);
    await b.leave();
    await until(() => a.unreachable.includes(M2));
    const port = Number(members[M2]?.split(":")[1]);
    again = new Side(M2);
    await again.join(members, port);
    again.listen(founders(members));
    const { received } = again;
    await until(
      () => 0 < received.length,
      () => a.transport?.send(M2, heartbeat(1)),
    );
    t.is(received[0]?.from, M1);
  } finally {
    await Promise.all([a.leave(), again?.leave()]);
  }
});

test("A master of another cluster is refused", async (t) => {
  const { a, b } = await pair("another");
  try {
    const offer = { term: term(1), meta: meta(1, 1), sizeBytes: 0, crc32c: 0 };
    t.is(await a.transport?.sendSnapshot(M2, offer, async function* () {}), "broken");
    await until(
      () => 2 <= a.unreachable.length,
      () => a.transport?.send(M2, heartbeat(1)),
    );
    t.deepEqual(b.received, []);
  } finally {
    await Promise.all([a.leave(), b.leave()]);
  }
});

test("A snapshot arrives with its description, and only what is not there yet", async (t) => {
  const { a, b } = await pair();
  try {
    const image = new Uint8Array(5_000_000).map((_, i) => i * 13);
    const offer = { term: term(3), meta: meta(40, 2), sizeBytes: image.length, crc32c: 77 };
    const bytes = async function* (from: number) {
      for (let at = from; at < image.length; at += 1_000_000) {
        yield image.subarray(at, at + 1_000_000);
      }
    };
    t.is(await a.transport?.sendSnapshot(M2, offer, bytes), "delivered");
    t.deepEqual(b.offers[0]?.offer, offer);
    t.is(Buffer.compare(b.offers[0]?.bytes ?? new Uint8Array(0), image), 0);
    b.heldBytes = 4_000_000;
    t.is(await a.transport?.sendSnapshot(M2, offer, bytes), "delivered");
    t.is(Buffer.compare(b.offers[1]?.bytes ?? new Uint8Array(0), image.subarray(4_000_000)), 0);
    b.heldBytes = undefined;
    t.is(await a.transport?.sendSnapshot(M2, offer, bytes), "refused");
    t.is(b.offers.length, 2);
  } finally {
    await Promise.all([a.leave(), b.leave()]);
  }
});

test("A snapshot whose source fails is not delivered", async (t) => {
  const { a, b } = await pair();
  try {
    const offer = { term: term(3), meta: meta(40, 2), sizeBytes: 10, crc32c: 77 };
    const bytes = async function* () {
      yield new Uint8Array(5);
      throw new Error("cannot read the file");
    };
    t.is(await a.transport?.sendSnapshot(M2, offer, bytes), "broken");
  } finally {
    await Promise.all([a.leave(), b.leave()]);
  }
});

test("3.5.46: a store that comes back as another one under its name is neither heard nor told", async (t) => {
  const { a, b, members } = await pair();
  let wiped: Side | undefined;
  try {
    await connected(a, b);
    t.is(a.identified.get(M2), "store of m2");
    t.is(b.identified.get(M1), "store of m1");
    const group = { ...founders(members), stores: { [M1]: a.store, [M2]: b.store } };
    a.follow(group);
    await b.leave();
    wiped = new Side(M2);
    wiped.store = "made anew";
    await wiped.join(members, Number(members[M2]?.split(":")[1]));
    wiped.listen(founders(members));
    const { disowned } = wiped;
    a.received.length = 0;
    await until(
      () => disowned.includes("m1: other store"),
      () => a.transport?.send(M2, heartbeat(1)),
    );
    t.deepEqual(wiped.received, [], "what the group knows better it does not tell it");
    t.deepEqual(a.received, []);
  } finally {
    await Promise.all([a.leave(), wiped?.leave()]);
  }
});

test("A member that leaves the group and then ends is tried where it was", async (t) => {
  const { a, b, members } = await pair();
  try {
    await connected(a, b);
    a.follow(founders({ [M1]: members[M1] ?? "" }));
    const before = a.unreachable.length;
    await b.leave();
    // Two lanes lose their streams; what comes after that are attempts to connect again.
    await until(() => before + 4 <= a.unreachable.length);
    t.true(a.unreachable.slice(before).every((peer) => peer === M2));
  } finally {
    await Promise.all([a.leave(), b.leave()]);
  }
});

test("A removed master is told so, and its links end", async (t) => {
  const { a, b, members } = await pair();
  try {
    await connected(a, b);
    const alone = founders({ [M1]: members[M1] ?? "" });
    a.follow({ ...alone, retired: [{ id: M2, store: b.store }] });
    await until(
      () => b.disowned.includes("m1: removed"),
      () => b.transport?.send(M1, heartbeat(1)),
    );
    await until(() => b.unreachable.includes(M1));
    t.pass();
  } finally {
    await Promise.all([a.leave(), b.leave()]);
  }
});

test("3.5.45a: a master that nobody knows is heard and answered", async (t) => {
  const { a, b, members } = await pair();
  try {
    a.follow(founders({ [M1]: members[M1] ?? "" }));
    await until(
      () => 0 < a.received.length,
      () => b.transport?.send(M1, heartbeat(5)),
    );
    await until(
      () => 0 < rounds(b).length,
      () => a.transport?.send(M2, { kind: "heartbeatReply", term: term(1), round: 5 }),
    );
    t.is(a.received[0]?.from, M2);
  } finally {
    await Promise.all([a.leave(), b.leave()]);
  }
});

test("A member that has moved is found where it says it is", async (t) => {
  const [a, b] = [new Side(M1), new Side(M2)];
  const members: Record<NodeId, string> = {};
  try {
    await a.join(members);
    await b.join(members);
    const moved = b.server?.address ?? "";
    b.address = moved;
    a.listen(founders({ ...members, [M2]: "127.0.0.1:9" }));
    b.listen(founders(members));
    await until(
      () => 0 < b.received.length,
      () => a.transport?.send(M2, heartbeat(1)),
    );
    t.is(b.received[0]?.from, M1);
  } finally {
    await Promise.all([a.leave(), b.leave()]);
  }
});
