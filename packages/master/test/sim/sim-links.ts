// The connections between simulated masters: Raft messages and snapshots over the simulated
// network.

import type { NodeId } from "@lumeofs/base";
import type { Lifetime, SimNetwork } from "@lumeofs/testkit";
import type { PeerLinks, PeerListener, SnapshotOffer } from "../../src/consensus/peer-link.js";
import type { RaftMessage } from "../../src/raft/message.js";

/** What travels between two masters. */
export type Parcel =
  | { readonly kind: "raft"; readonly message: RaftMessage }
  | {
      readonly kind: "snapshot";
      readonly transfer: number;
      readonly offer: SnapshotOffer;
      readonly pieces: readonly Uint8Array[];
    }
  | { readonly kind: "taken"; readonly transfer: number; readonly isTaken: boolean };

/** A transfer whose end is not heard of by then has failed. */
const TRANSFER_TIMEOUT_MS = 2_000;

export interface LinkParts {
  readonly network: SimNetwork<Parcel>;
  readonly lifetime: Lifetime;
  /** Sees every message in the moment of its sending. */
  readonly leaving: (to: NodeId, message: RaftMessage) => void;
  /** Adds a line to the trace. */
  readonly record: (line: () => string) => void;
}

/** Never used again, so that news of an old transfer are not taken for those of a new one. */
let transfers = 0;

/** The links of one run of a process. */
export class SimLinks implements PeerLinks {
  #listener: PeerListener | undefined;
  readonly #waiting = new Map<number, (isTaken: boolean) => void>();
  readonly #name: NodeId;
  readonly #network: SimNetwork<Parcel>;
  readonly #lifetime: Lifetime;
  readonly #leaving: LinkParts["leaving"];
  readonly #record: LinkParts["record"];

  constructor(name: NodeId, parts: LinkParts) {
    this.#name = name;
    this.#network = parts.network;
    this.#lifetime = parts.lifetime;
    this.#leaving = parts.leaving;
    this.#record = parts.record;
    this.#network.attach(name, (from, parcel) => {
      this.#lifetime.deliver(() => this.#receive(from as NodeId, parcel));
    });
  }

  listen(listener: PeerListener): void {
    this.#listener = listener;
  }

  send(to: NodeId, message: RaftMessage): void {
    if (this.#lifetime.hasEnded) return;
    this.#leaving(to, message);
    this.#network.send(this.#name, to, { kind: "raft", message });
  }

  async sendSnapshot(
    to: NodeId,
    offer: SnapshotOffer,
    pieces: AsyncIterable<Uint8Array>,
  ): Promise<boolean> {
    const copied: Uint8Array[] = [];
    for await (const piece of pieces) copied.push(piece.slice());
    const transfer = ++transfers;
    this.#record(() => `${this.#name} > ${to} snapshot ${offer.meta.index}`);
    this.#network.send(this.#name, to, { kind: "snapshot", transfer, offer, pieces: copied });
    return new Promise((resolve) => {
      const end = (isTaken: boolean): void => {
        if (this.#waiting.delete(transfer)) resolve(isTaken);
      };
      this.#waiting.set(transfer, end);
      this.#lifetime.after(TRANSFER_TIMEOUT_MS, () => end(false));
    });
  }

  /** Some messages to this peer are lost, and this side has noticed. */
  streamBroken(peer: NodeId): void {
    this.#lifetime.deliver(() => this.#listener?.unreachable(peer));
  }

  async close(): Promise<void> {
    this.#network.attach(this.#name, undefined);
  }

  #receive(from: NodeId, parcel: Parcel): void {
    switch (parcel.kind) {
      case "raft":
        this.#listener?.received(from, parcel.message);
        break;
      case "snapshot":
        void this.#take(from, parcel);
        break;
      case "taken":
        this.#waiting.get(parcel.transfer)?.(parcel.isTaken);
        break;
    }
  }

  async #take(from: NodeId, parcel: Extract<Parcel, { kind: "snapshot" }>): Promise<void> {
    const { transfer, offer, pieces } = parcel;
    const listener = this.#listener;
    if (listener === undefined) return;
    // A rejection means that this member has failed; it ends by itself.
    const taking = listener.offered(from, offer, streamOf(pieces));
    const isTaken = await taking.catch(() => false);
    if (this.#lifetime.hasEnded) return;
    this.#record(() => `${this.#name} > ${from} snapshot ${offer.meta.index} taken: ${isTaken}`);
    this.#network.send(this.#name, from, { kind: "taken", transfer, isTaken });
  }
}

async function* streamOf(pieces: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* pieces;
}
