// What must hold in every run. The numbers are those of the design of the protocol.
//
// C1. Every acknowledged write is in every history that becomes active later, at its place.
// C2. Committed records form one chain: at one number there is one record.
// C3. One place (epoch, number) holds one record, on every copy.
// C4. Epochs become active one after the other, each once.
// C5. Promises never fall; what answers in an epoch has promised exactly that epoch, on disk.
// C6. What is committed on a copy is never taken back, except by damage and removal.
// C7. A read under a lease misses nothing that was acknowledged or read before it began, if clocks
//     run within the terms.
// C9. A write that is sent again is answered with the same place.
// C10. A copy is removed only where the last active set does not need it.
// (C8, that all copies are equal in the end, is checked when a run has healed.)

import { type ChunkAuthority, type ServerId, serverId } from "@lumeofs/base";
import { dataBytes } from "../../../src/replication/append-record.js";
import type { History } from "../../../src/replication/history.js";
import type { ReplicaReply } from "../../../src/replication/message.js";
import type { ReplicaChange, ReplicaState } from "../../../src/replication/replica.js";
import { type Ledger, type Noted, noteAck, noteActive } from "../model/ledger.js";
import { recordText } from "../model/words.js";

/** A property was broken. */
export class Broken extends Error {
  constructor(
    readonly property: string,
    what: string,
  ) {
    super(`${property}: ${what}`);
  }
}

export class Checker {
  /** How far a read that begins now must see. */
  floor = 0;
  readsServed = 0;
  readsStale = 0;
  #ledger: Ledger;
  readonly #places = new Map<string, string>();
  readonly #committed = new Map<number, string>();
  readonly #isDriftLawful: boolean;

  constructor(empty: History, isDriftLawful: boolean) {
    const active = { epoch: 1, history: empty };
    this.#ledger = { acks: [], active, submitted: 0, crashes: 0, wipes: 0, damages: 0 };
    this.#isDriftLawful = isDriftLawful;
  }

  get acknowledged(): number {
    return this.#ledger.acks.length;
  }

  /** A primary answers a client. */
  acked(
    write: number,
    at: { readonly epoch: number; readonly seq: number; readonly offset: number },
    by: { readonly epoch: number; readonly lengthBytes: number },
  ): void {
    this.#note(noteAck(this.#ledger, { write, ...at, by: by.epoch }));
    this.floor = Math.max(this.floor, at.offset + by.lengthBytes);
  }

  /** The masters record an epoch as active. */
  activated(before: ChunkAuthority, epoch: number, history: History): void {
    if (epoch === before.lastActive.epoch) return;
    if (epoch < before.lastActive.epoch) throw new Broken("C4", `epoch ${epoch} is active again`);
    this.#note(noteActive(this.#ledger, epoch, history));
  }

  /** A copy has changed on its disk. */
  changed(
    server: ServerId,
    before: ReplicaState,
    after: ReplicaState,
    change: ReplicaChange,
  ): void {
    if (after.promised < before.promised) throw new Broken("C5", `${server} broke its promise`);
    if (change.kind !== "log") return;
    if (after.commitSeq < before.commitSeq) throw new Broken("C6", `${server} takes back`);
    if (change.keepTo < before.commitSeq) throw new Broken("C6", `${server} cuts the committed`);
    for (const record of change.records) {
      const place = `${record.epoch}.${record.seq}`;
      agree(this.#places, place, recordText(record), "C3");
    }
    for (let seq = before.commitSeq + 1; seq <= after.commitSeq; seq++) {
      const record = after.history.at(seq);
      if (record !== undefined) agree(this.#committed, seq, recordText(record), "C2");
    }
  }

  /** An answer leaves. */
  answered(server: ServerId, disk: ReplicaState, reply: ReplicaReply): void {
    if (reply.kind === "stale" || disk.promised === reply.epoch) return;
    throw new Broken("C5", `${server} answers in ${reply.epoch}, promised ${disk.promised}`);
  }

  /** A copy goes. */
  removed(server: ServerId, before: ReplicaState, { lastActive }: ChunkAuthority): void {
    const isNeeded = lastActive.members.includes(server) && lastActive.epoch <= before.promised;
    if (isNeeded) throw new Broken("C10", `${server} removes what epoch ${lastActive.epoch} needs`);
  }

  /** A primary gives out the result of a read. */
  readEnded(floor: number, lengthBytes: number): void {
    this.readsServed++;
    this.floor = Math.max(this.floor, lengthBytes);
    if (floor <= lengthBytes) return;
    this.readsStale++;
    if (this.#isDriftLawful) throw new Broken("C7", `a read sees ${lengthBytes} of ${floor} bytes`);
  }

  /** C1 and C8, when everything has healed: the members' copies, and those outside. */
  healed(authority: ChunkAuthority, copies: ReadonlyMap<number, ReplicaState>): void {
    const [first, ...others] = authority.newest.members.map((member) => copies.get(member));
    if (first === undefined) throw new Broken("C8", "a member is missing");
    for (const ack of this.#ledger.acks) {
      const record = first.history.at(ack.seq);
      const isThere =
        record?.epoch === ack.epoch &&
        record.content.kind === "data" &&
        record.content.write.writeSeq === ack.write;
      if (!isThere) throw new Broken("C1", `write ${ack.write} is not in the healed history`);
    }
    for (const other of others) {
      if (other === undefined || text(other.history) !== text(first.history)) {
        throw new Broken("C8", "members differ in the end");
      }
    }
    for (const [server, copy] of copies) {
      const isMember = authority.newest.members.includes(serverId(server));
      if (!isMember && 0 < copy.history.lastSeq) {
        throw new Broken("C8", `${server} still has a copy`);
      }
    }
  }

  #note(noted: Noted): void {
    if (noted.kind === "violation") throw new Broken(noted.what.slice(0, 2), noted.what.slice(4));
    this.#ledger = noted.ledger;
  }
}

function agree<K>(known: Map<K, string>, at: K, text: string, property: string): void {
  const before = known.get(at);
  if (before === undefined) known.set(at, text);
  else if (before !== text) throw new Broken(property, `${before} and ${text} at ${at}`);
}

function text(history: History): string {
  const records = history.slice(1, history.lastSeq);
  return records.map((record) => `${recordText(record)}${dataBytes(record)}`).join(" ");
}
