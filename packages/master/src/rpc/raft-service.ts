// Raft's messages over gRPC: the streams that the other masters open to this one, and the streams
// that it opens to them, together as the PeerLinks of the driver.
//
// T1. A request goes out on this member's own stream; a reply goes back on the stream of the member
//     that it answers. A stream that was replaced or has broken carries nothing any more.
// T2. Every stream begins by saying which cluster and which members it joins; a wrong one is
//     refused.

import { type Logger, LumeoError, type NodeId, type Timers } from "@lumeofs/base";
import {
  type RpcMethod,
  type RpcStream,
  serveStream,
  serveUnary,
  serveUpload,
} from "@lumeofs/node/rpc";
import { type lumeo, RaftService } from "@lumeofs/proto";
import type {
  PeerLinks,
  PeerListener,
  SnapshotBytes,
  SnapshotDelivery,
  SnapshotOffer,
} from "../consensus/peer-link.js";
import type { RaftMessage } from "../raft/message.js";
import { MessageQueue } from "./message-queue.js";
import { PeerClient } from "./peer-client.js";
import {
  decodeLane,
  decodeMessage,
  decodeOffer,
  decodeOffset,
  isRequest,
  laneOf,
  type RaftLane,
} from "./raft-wire.js";

type ExchangeRequest = lumeo.master.v1.IExchangeRequest;
type ExchangeResponse = lumeo.master.v1.IExchangeResponse;
type InstallSnapshotRequest = lumeo.master.v1.IInstallSnapshotRequest;
type WireHeader = lumeo.master.v1.ISnapshotHeader;

export interface RaftTransportOptions {
  readonly clusterId: string;
  readonly self: NodeId;
  /** host:port of all members; this one's own is not used. */
  readonly members: Readonly<Record<NodeId, string>>;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** What waits for the stream that a peer has opened to this member. */
interface Inbound {
  readonly queue: MessageQueue;
  readonly stream: RpcStream<ExchangeResponse, ExchangeRequest>;
}

export class RaftTransport implements PeerLinks {
  /** To be served at this member's address. */
  readonly methods: readonly RpcMethod[];
  readonly #options: RaftTransportOptions;
  readonly #peers = new Map<NodeId, PeerClient>();
  readonly #inbound = new Map<string, Inbound>();
  #listener: PeerListener | undefined;
  #isClosed = false;

  constructor(options: RaftTransportOptions) {
    this.#options = options;
    this.methods = [
      serveStream(RaftService.exchange, (stream) => this.#serveExchange(stream)),
      serveUnary(RaftService.offerSnapshot, (request) => this.#serveOffer(request.header)),
      serveUpload(RaftService.installSnapshot, (requests) => this.#serveSnapshot(requests)),
    ];
  }

  /** Begins to connect to the others, and to take what they send. */
  listen(listener: PeerListener): void {
    this.#listener = listener;
    const { clusterId, self, members, timers, logger } = this.#options;
    for (const [peer, address] of Object.entries(members) as [NodeId, string][]) {
      if (peer === self) continue;
      const client = new PeerClient({
        clusterId,
        self,
        peer,
        address,
        timers,
        logger,
        onMessage: (message) => this.#deliver(peer, message),
        onUnreachable: () => this.#unreachable(peer),
      });
      this.#peers.set(peer, client);
    }
  }

  send(to: NodeId, message: RaftMessage): void {
    if (this.#isClosed) return;
    if (isRequest(message)) this.#peers.get(to)?.send(message);
    else this.#inbound.get(keyOf(to, laneOf(message)))?.queue.push(message);
  }

  async sendSnapshot(
    to: NodeId,
    offer: SnapshotOffer,
    bytes: SnapshotBytes,
  ): Promise<SnapshotDelivery> {
    return (await this.#peers.get(to)?.sendSnapshot(offer, bytes)) ?? "refused";
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { queue } of this.#inbound.values()) queue.close();
    await Promise.all([...this.#peers.values()].map((peer) => peer.close()));
  }

  async #serveExchange(stream: RpcStream<ExchangeResponse, ExchangeRequest>): Promise<void> {
    let [from, key]: [NodeId | undefined, string | undefined] = [undefined, undefined];
    const queue = new MessageQueue(
      (messages) => stream.send({ messages }),
      () => {
        if (from !== undefined) this.#unreachable(from);
      },
    );
    try {
      for await (const request of stream) {
        if (from === undefined) {
          from = this.#checkRoute(request);
          key = keyOf(from, decodeLane(request.lane ?? 0));
          this.#inbound.get(key)?.queue.close();
          this.#inbound.set(key, { queue, stream });
          await stream.send({ messages: [] });
        }
        for (const message of request.messages ?? []) this.#deliver(from, decodeMessage(message));
      }
    } finally {
      queue.close();
      if (key !== undefined && this.#inbound.get(key)?.stream === stream) this.#inbound.delete(key);
    }
  }

  async #serveOffer(
    header: WireHeader | null | undefined,
  ): Promise<lumeo.master.v1.IOfferSnapshotResponse> {
    const { from, offer } = this.#checkOffer(header);
    const offset = await this.#listener?.offered(from, offer);
    return offset === undefined ? { wanted: false } : { wanted: true, offset };
  }

  async #serveSnapshot(
    requests: AsyncIterable<InstallSnapshotRequest>,
  ): Promise<lumeo.master.v1.IInstallSnapshotResponse> {
    const reading = requests[Symbol.asyncIterator]();
    const first = await reading.next();
    const { from, offer, offset } = this.#checkOffer(first.value?.header);
    const pieces = async function* (): AsyncIterable<Uint8Array> {
      try {
        for (let next = await reading.next(); !next.done; next = await reading.next()) {
          yield next.value.piece ?? new Uint8Array(0);
        }
      } finally {
        await reading.return?.();
      }
    };
    const arriving = this.#listener?.arriving(from, offer, { offset, pieces: pieces() });
    return { received: (await arriving) ?? false };
  }

  #checkOffer(header: WireHeader | null | undefined): {
    readonly from: NodeId;
    readonly offer: SnapshotOffer;
    readonly offset: number;
  } {
    if (!header) {
      throw new LumeoError("PROTOCOL", "Cannot take a snapshot: its header is missing");
    }
    const from = this.#checkRoute(header);
    return { from, offer: decodeOffer(header), offset: decodeOffset(header) };
  }

  /** Who is calling, if it is meant for this member (T2). */
  #checkRoute(route: {
    readonly clusterId?: string | null;
    readonly from?: string | null;
    readonly to?: string | null;
  }): NodeId {
    const { clusterId, self, members } = this.#options;
    const wrong = (why: string) =>
      new LumeoError("CONFIG", `Cannot join the masters: ${why}. Check the lists of masters`);
    if (route.clusterId !== clusterId) {
      throw wrong(`this is cluster "${clusterId}", called was "${route.clusterId ?? ""}"`);
    }
    if (route.to !== self) throw wrong(`this is master "${self}", called was "${route.to ?? ""}"`);
    const from = route.from ?? "";
    if (from === self || !Object.hasOwn(members, from)) {
      throw wrong(`master "${from}" is none of the others here`);
    }
    if (this.#listener === undefined || this.#isClosed) {
      throw new LumeoError("UNAVAILABLE", `Master "${self}" is not ready yet`);
    }
    return from as NodeId;
  }

  #deliver(from: NodeId, message: RaftMessage): void {
    if (!this.#isClosed) this.#listener?.received(from, message);
  }

  #unreachable(peer: NodeId): void {
    if (!this.#isClosed) this.#listener?.unreachable(peer);
  }
}

function keyOf(peer: NodeId, lane: RaftLane): string {
  return `${peer}/${lane}`;
}
