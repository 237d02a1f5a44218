// The connections between simulated masters: Raft messages and snapshots over the simulated
// network.

import { LumeoError, type NodeId } from "@lumeofs/base";
import type { Lifetime, SimNetwork } from "@lumeofs/testkit";
import type {
  PeerLinks,
  PeerListener,
  SnapshotBytes,
  SnapshotDelivery,
  SnapshotOffer,
} from "../../src/consensus/peer-link.js";
import type { RaftMessage } from "../../src/raft/message.js";

/** What travels between two masters. */
export type Parcel =
  | { readonly kind: "raft"; readonly message: RaftMessage }
  | {
      readonly kind: "snapshot";
      readonly transfer: number;
      readonly offer: SnapshotOffer;
      readonly image: Uint8Array;
    }
  | { readonly kind: "taken"; readonly transfer: number; readonly outcome: SnapshotDelivery };

/** A transfer whose end is not heard of by then has failed. */
const TRANSFER_TIMEOUT_MS = 2_000;

/** One in so many snapshots breaks off in the middle. */
const CUT_ARRIVALS = 3;

export interface LinkParts {
  readonly network: SimNetwork<Parcel>;
  readonly lifetime: Lifetime;
  /** Sees every message in the moment of its sending. */
  readonly leaving: (to: NodeId, message: RaftMessage) => void;
  /** Sees every message before the process does. */
  readonly reached: (from: NodeId, message: RaftMessage) => void;
  /** Adds a line to the trace. */
  readonly record: (line: () => string) => void;
}

/** Never used again, so that news of an old transfer are not taken for those of a new one. */
let transfers = 0;

/** The links of one run of a process. */
export class SimLinks implements PeerLinks {
  #listener: PeerListener | undefined;
  readonly #waiting = new Map<number, (outcome: SnapshotDelivery) => void>();
  #arrivals = 0;
  readonly #name: NodeId;
  readonly #network: SimNetwork<Parcel>;
  readonly #lifetime: Lifetime;
  readonly #leaving: LinkParts["leaving"];
  readonly #reached: LinkParts["reached"];
  readonly #record: LinkParts["record"];

  constructor(name: NodeId, parts: LinkParts) {
    this.#name = name;
    this.#network = parts.network;
    this.#lifetime = parts.lifetime;
    this.#leaving = parts.leaving;
    this.#reached = parts.reached;
    this.#record = parts.record;
    this.#network.attach(name, (from, parcel) => {
      this.#lifetime.deliver(() => this.#receive(from as NodeId, parcel));
    });
  }

  listen(listener: PeerListener): void {
    this.#listener = listener;
  }

  /** Everybody is connected to everybody here. */
  follow(): void {}

  send(to: NodeId, message: RaftMessage): void {
    if (this.#lifetime.hasEnded) return;
    this.#leaving(to, message);
    this.#network.send(this.#name, to, { kind: "raft", message });
  }

  async sendSnapshot(
    to: NodeId,
    offer: SnapshotOffer,
    bytes: SnapshotBytes,
  ): Promise<SnapshotDelivery> {
    const copied: Uint8Array[] = [];
    for await (const piece of bytes(0)) copied.push(piece.slice());
    const transfer = ++transfers;
    this.#record(() => `${this.#name} > ${to} snapshot ${offer.meta.index}`);
    const image = Buffer.concat(copied);
    this.#network.send(this.#name, to, { kind: "snapshot", transfer, offer, image });
    return new Promise((resolve) => {
      const end = (outcome: SnapshotDelivery): void => {
        if (this.#waiting.delete(transfer)) resolve(outcome);
      };
      this.#waiting.set(transfer, end);
      this.#lifetime.after(TRANSFER_TIMEOUT_MS, () => end("broken"));
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
        this.#reached(from, parcel.message);
        this.#listener?.received(from, parcel.message);
        break;
      case "snapshot":
        void this.#take(from, parcel);
        break;
      case "taken":
        this.#waiting.get(parcel.transfer)?.(parcel.outcome);
        break;
    }
  }

  async #take(from: NodeId, parcel: Extract<Parcel, { kind: "snapshot" }>): Promise<void> {
    const { transfer, offer } = parcel;
    const listener = this.#listener;
    if (listener === undefined) return;
    // A rejection means that this member has failed; it ends by itself.
    const outcome = await this.#receiveImage(listener, from, parcel).catch(() => "broken" as const);
    if (this.#lifetime.hasEnded) return;
    this.#record(() => `${this.#name} > ${from} snapshot ${offer.meta.index}: ${outcome}`);
    this.#network.send(this.#name, from, { kind: "taken", transfer, outcome });
  }

  async #receiveImage(
    listener: PeerListener,
    from: NodeId,
    { offer, image }: Extract<Parcel, { kind: "snapshot" }>,
  ): Promise<SnapshotDelivery> {
    const offset = await listener.offered(from, offer);
    if (offset === undefined) return "refused";
    this.#arrivals += 1;
    const isCut = this.#arrivals % CUT_ARRIVALS === 0;
    const rest = image.subarray(offset);
    const pieces = isCut ? cutStream(rest) : streamOf(rest);
    const isTaken = await listener.arriving(from, offer, { offset, pieces });
    if (isTaken) return "delivered";
    return isCut ? "broken" : "refused";
  }
}

async function* streamOf(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

async function* cutStream(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes.subarray(0, Math.floor(bytes.byteLength / 2));
  throw new LumeoError("CONNECTION_LOST", "The stream has broken");
}
