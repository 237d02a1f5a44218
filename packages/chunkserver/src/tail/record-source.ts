// Where a primary gets the bytes of its records from, and how it speaks to one member.
//
// Bytes: what it has appended itself, until its own replica has it durable; then its own replica;
// what that lacks, from the member whose history was adopted, or from any other that has it.
//
// B1. What was appended here stays in the memory in which it came, and that is used again as soon
//     as nobody keeps it: who sends or writes from there holds it until that is done (`hold`), who
//     needs it for longer gets a copy (`load`).

import { LumeoError, type ServerId } from "@lumeofs/base";
import type { ChainLink } from "@lumeofs/node/frames";
import { type AppendRecord, dataBytes } from "../replication/append-record.js";
import type { ReplicaMessage, ReplicaReply } from "../replication/message.js";
import type { AppendCall } from "./append-call.js";
import type { EpochOrder } from "./epoch-order.js";
import type { MemberLink } from "./member-link.js";
import type { MemberMessage, MemberReply } from "./member-message.js";
import { inOrder } from "./outbox.js";
import { bytesOf } from "./record-rows.js";
import { NO_BYTES, type RecordBytes } from "./tail-replica.js";
import type { TailStore } from "./tail-store.js";

interface Fresh extends Pick<AppendCall, "bytes" | "retain"> {
  readonly record: AppendRecord;
  readonly leave: () => void;
}

/** Bytes of records that stay as they are until they are given back. */
export interface HeldBytes {
  readonly bytes: RecordBytes;
  /** Harmless the second time. */
  readonly release: () => void;
}

/** See the head of this file. */
export class RecordSource {
  /** Whose history was adopted. */
  donor: ServerId | undefined;
  /** As the masters have said it last: tokens and addresses change, the grant does not. */
  #order: EpochOrder;
  readonly #ports: { readonly tails: TailStore; readonly link: MemberLink };
  /** By number, rising: appended here and not durable here yet. */
  readonly #fresh = new Map<number, Fresh>();
  #freshBytes = 0;

  constructor(order: EpochOrder, ports: { readonly tails: TailStore; readonly link: MemberLink }) {
    this.#order = order;
    this.#ports = ports;
  }

  get self(): ChainLink {
    const { grant, members } = this.#order;
    return members.get(grant.primary) ?? { server: grant.primary, address: "" };
  }

  /** The masters have said the order again. */
  renew(order: EpochOrder): void {
    this.#order = order;
  }

  /** Bytes that wait to be durable here. */
  get freshBytes(): number {
    return this.#freshBytes;
  }

  /** A record that was appended here. */
  add(record: AppendRecord, { bytes, retain }: Pick<AppendCall, "bytes" | "retain">): void {
    this.#fresh.set(record.seq, { record, bytes, retain, leave: retain() });
    this.#freshBytes += bytes.byteLength;
  }

  /** The own replica has everything up to here. */
  durable(seq: number): void {
    for (const [known, { bytes, leave }] of this.#fresh) {
      if (seq < known) return;
      this.#fresh.delete(known);
      this.#freshBytes -= bytes.byteLength;
      leave();
    }
  }

  /** Nothing more is appended here: what came is kept by those alone who are using it. */
  close(): void {
    this.durable(Infinity);
  }

  /** The bytes of records that follow each other. @throws LumeoError if nobody gives them. */
  load(records: readonly AppendRecord[]): Promise<RecordBytes> {
    return this.#load(records, ({ bytes }) => new Uint8Array(bytes));
  }

  /** As `load`, for who sends them to a member, or has the own replica write them (B1). */
  async hold(to: ServerId, records: readonly AppendRecord[]): Promise<HeldBytes> {
    if (bytesOf(records) === 0) return { bytes: NO_BYTES, release: () => undefined };
    const held: (() => void)[] = [];
    const release = (): void => {
      for (const leave of held.splice(0)) leave();
    };
    try {
      if (to !== this.#order.grant.primary) {
        const room = await this.#ports.link.room(this.#linkTo(to), bytesOf(records));
        held.push(() => room.release());
      }
      const bytes = await this.#load(records, (fresh) => {
        held.push(fresh.retain());
        return fresh.bytes;
      });
      return { bytes, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Says something to a member, the own replica included; the answer, if the protocol takes it. */
  async say(
    server: ServerId,
    message: ReplicaMessage,
    held: HeldBytes,
  ): Promise<ReplicaReply | undefined> {
    if (server === this.#order.grant.primary) {
      return this.#sayHere(message, held.bytes).finally(held.release);
    }
    if (message.kind === "claim" || message.kind === "remove") return undefined;
    try {
      const data = message.kind === "append" ? inOrder(message.records, held.bytes) : [];
      const { release } = held;
      return protocolReply((await this.#ask(this.#linkTo(server), message, data, release)).reply);
    } catch (error) {
      held.release();
      throw error;
    }
  }

  /** As `say`, for what is not of the protocol. */
  async tell(server: ServerId, message: MemberMessage): Promise<MemberReply> {
    const { tails } = this.#ports;
    const { handle, grant } = this.#order;
    if (server === grant.primary) return (await tails.serve(handle, message)).reply;
    return (await this.#ask(this.#linkTo(server), message, [])).reply;
  }

  async #sayHere(message: ReplicaMessage, bytes: RecordBytes): Promise<ReplicaReply> {
    const replica = await this.#ports.tails.replicaOf(this.#order.handle);
    if (replica !== undefined) return replica.serve(message, bytes);
    return { kind: "stale", epoch: message.epoch, promised: 0 };
  }

  async #load(
    records: readonly AppendRecord[],
    take: (fresh: Fresh) => Uint8Array,
  ): Promise<RecordBytes> {
    if (records.length === 0) return NO_BYTES;
    const found = new Map<number, Uint8Array>();
    for (const record of records) {
      if (dataBytes(record) === 0) continue;
      const fresh = this.#fresh.get(record.seq);
      const bytes = fresh?.record === record ? take(fresh) : await this.#ownOf(record);
      if (bytes !== undefined) found.set(record.seq, bytes);
    }
    const lacking = records.filter((one) => 0 < dataBytes(one) && !found.has(one.seq));
    return lacking.length === 0 ? found : this.#fetch(lacking, found);
  }

  #linkTo(server: ServerId): ChainLink {
    const link = this.#order.members.get(server);
    if (link !== undefined) return link;
    throw new LumeoError("UNAVAILABLE", `Cannot reach server ${server}: it has no address`);
  }

  async #ownOf(record: AppendRecord): Promise<Uint8Array | undefined> {
    const replica = this.#ports.tails.find(this.#order.handle);
    const own = replica?.state.history.at(record.seq);
    if (replica === undefined || own?.epoch !== record.epoch) return undefined;
    try {
      return await replica.read(own);
    } catch (error) {
      if (error instanceof LumeoError && error.code === "CHECKSUM") return undefined;
      throw error;
    }
  }

  async #fetch(
    lacking: readonly AppendRecord[],
    found: Map<number, Uint8Array>,
  ): Promise<RecordBytes> {
    const [first] = lacking;
    const last = lacking.at(-1);
    if (first === undefined || last === undefined) return found;
    const missing = new Map(lacking.map((record) => [record.seq, record]));
    const count = last.seq - first.seq + 1;
    const { grant } = this.#order;
    for (const to of this.#donors()) {
      const ask = { kind: "give", epoch: grant.epoch, first: first.seq, count } as const;
      const { reply, bytes } = await this.#ask(to, ask, []).catch((error: unknown) => {
        if (error instanceof LumeoError) return { reply: undefined, bytes: NO_BYTES };
        throw error;
      });
      if (reply?.kind !== "given") continue;
      for (const given of reply.records) {
        const wanted = missing.get(given.seq);
        const data = bytes.get(given.seq);
        if (wanted?.epoch !== given.epoch || data === undefined) continue;
        found.set(given.seq, data);
        missing.delete(given.seq);
      }
      if (missing.size === 0) return found;
    }
    const what = `records ${first.seq} to ${last.seq} of chunk ${this.#order.handle}`;
    throw new LumeoError("UNAVAILABLE", `Cannot read ${what}: nobody gives them`);
  }

  #donors(): readonly ChainLink[] {
    const { members, grant } = this.#order;
    const others = [...members.values()].filter(({ server }) => server !== grant.primary);
    return others.sort((a, b) => {
      return Number(b.server === this.donor) - Number(a.server === this.donor);
    });
  }

  #ask(to: ChainLink, message: MemberMessage, data: readonly Uint8Array[], sent?: () => void) {
    const about = { handle: this.#order.handle, to, from: this.self, token: this.#order.token };
    return this.#ports.link.ask(about, message, data, sent);
  }
}

function protocolReply(reply: MemberReply): ReplicaReply | undefined {
  switch (reply.kind) {
    case "given":
    case "settled":
    case "finished":
      return undefined;
    default:
      return reply;
  }
}
