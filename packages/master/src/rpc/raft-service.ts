// Raft's messages over gRPC: the streams that the other masters open to this one, and the streams
// that it opens to them, together as the PeerLinks of the driver.
//
// T1. A request goes out on this member's own stream; a reply goes back on the stream of the member
//     that it answers. A stream that was replaced or has broken carries nothing any more.
// T2. Every stream begins by saying which cluster and which members it joins, and both ends say
//     which store they have; a wrong one is refused.
// T3. The streams that this member opens follow the membership: to everybody who may have a say.

import {
  type Alarm,
  type Logger,
  LumeoError,
  type NodeId,
  nodeId,
  type Timers,
} from "@lumeofs/base";
import {
  type RpcMethod,
  type RpcNetwork,
  type RpcStream,
  serveStream,
  serveUnary,
  serveUpload,
} from "@lumeofs/node/rpc";
import { type lumeo, RaftService } from "@lumeofs/proto";
import type {
  PeerIdentity,
  PeerLinks,
  PeerListener,
  SnapshotBytes,
  SnapshotDelivery,
  SnapshotOffer,
} from "../consensus/peer-link.js";
import type { MembershipStatus, RaftMessage } from "../raft/message.js";
import { MessageQueue } from "./message-queue.js";
import { PeerClient } from "./peer-client.js";
import { PeerRegistry, type Standing } from "./peer-registry.js";
import {
  decodeIdentity,
  decodeLane,
  decodeMessage,
  decodeOffer,
  decodeOffset,
  encodeStanding,
  isRequest,
  laneOf,
  RAFT_LANES,
  type RaftLane,
} from "./raft-wire.js";

type ExchangeRequest = lumeo.master.v1.IExchangeRequest;
type ExchangeResponse = lumeo.master.v1.IExchangeResponse;
type InstallSnapshotRequest = lumeo.master.v1.IInstallSnapshotRequest;
type WireHeader = lumeo.master.v1.ISnapshotHeader;

/** So long a removed member may still be told that it is one. */
const LINGER_MS = 1_000;
/** Streams of callers who are no members, at once: each needs two. */
const STRANGERS_MAX = 32;

export interface RaftTransportOptions {
  readonly clusterId: string;
  readonly self: NodeId;
  /** host:port of members where the settings name them; the group may know better. */
  readonly hints: Readonly<Record<NodeId, string>>;
  readonly timers: Timers;
  /** Default: gRPC. */
  readonly network?: RpcNetwork;
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
  readonly #registry: PeerRegistry;
  readonly #peers = new Map<NodeId, PeerClient>();
  /** Links that are about to end, because the group goes on without that member. */
  readonly #leaving = new Map<NodeId, Alarm>();
  readonly #inbound = new Map<string, Inbound>();
  #listener: PeerListener | undefined;
  #self: PeerIdentity = { store: "", address: "" };
  #isClosed = false;

  constructor(options: RaftTransportOptions) {
    this.#options = options;
    this.#registry = new PeerRegistry(options.hints);
    this.methods = [
      serveStream(RaftService.exchange, (stream) => this.#serveExchange(stream)),
      serveUnary(RaftService.offerSnapshot, (request) => this.#serveOffer(request.header)),
      serveUpload(RaftService.installSnapshot, (requests) => this.#serveSnapshot(requests)),
    ];
  }

  /** Begins to take what others send. */
  listen(listener: PeerListener, self: PeerIdentity): void {
    this.#listener = listener;
    this.#self = self;
  }

  /** Connects to whoever is new, and lets go of whoever is not there any more. */
  follow(memberships: MembershipStatus): void {
    if (this.#isClosed) return;
    this.#registry.follow(memberships);
    for (const peer of Object.keys(memberships.reach) as NodeId[]) {
      if (peer === this.#options.self) continue;
      this.#leaving.get(peer)?.cancel();
      this.#leaving.delete(peer);
      if (!this.#peers.has(peer)) this.#peers.set(peer, this.#connect(peer));
    }
    for (const peer of this.#peers.keys()) {
      if (this.#registry.isMember(peer) || this.#leaving.has(peer)) continue;
      const leave = () => this.#disconnect(peer);
      this.#leaving.set(peer, this.#options.timers.after(LINGER_MS, leave));
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
    for (const alarm of this.#leaving.values()) alarm.cancel();
    for (const { queue } of this.#inbound.values()) queue.close();
    await Promise.all([...this.#peers.values()].map((peer) => peer.close()));
  }

  #connect(peer: NodeId): PeerClient {
    const { clusterId, self, timers, network, logger } = this.#options;
    return new PeerClient({
      clusterId,
      self,
      identity: this.#self,
      peer,
      addresses: () => this.#registry.addressesOf(peer),
      timers,
      network,
      logger,
      onMessage: (message) => this.#deliver(peer, message),
      onUnreachable: () => this.#unreachable(peer),
      onGone: () => {
        if (!this.#isClosed) this.#listener?.gone(peer);
      },
      onIdentified: (identity) => this.#admit(peer, identity) === "welcome",
      onDisowned: (why) => this.#listener?.disowned(peer, why),
    });
  }

  #disconnect(peer: NodeId): void {
    const client = this.#peers.get(peer);
    this.#peers.delete(peer);
    this.#leaving.delete(peer);
    // Its streams end with what it says next. It opens new ones, and is told why they are refused.
    for (const lane of RAFT_LANES) {
      this.#inbound.get(keyOf(peer, lane))?.queue.close();
      this.#inbound.delete(keyOf(peer, lane));
    }
    client?.close().catch((error: unknown) => {
      this.#options.logger.warn("Cannot end the connection to a removed master", { peer, error });
    });
  }

  /** Whether a peer, now that it has said who it is, may be heard. */
  #admit(peer: NodeId, identity: PeerIdentity): Standing {
    const standing = this.#registry.standingOf(peer, identity);
    if (standing === "welcome") this.#listener?.identified(peer, identity);
    else {
      const why = standing === "removed" ? "it was removed" : "its name is another store's";
      this.#options.logger.warn(`A master is not heard: ${why}`, {
        peer,
        address: identity.address,
      });
    }
    return standing;
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
          const caller = this.#checkRoute(request);
          const standing = this.#admit(caller, decodeIdentity(request.identity));
          await stream.send({ standing: encodeStanding(standing), identity: this.#self });
          if (standing !== "welcome") return;
          from = caller;
          key = keyOf(from, decodeLane(request.lane ?? 0));
          this.#inbound.get(key)?.queue.close();
          this.#inbound.set(key, { queue, stream });
        }
        if (key === undefined || this.#inbound.get(key)?.stream !== stream) return;
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
    if (this.#admit(from, { store: header.store ?? "", address: "" }) !== "welcome") {
      throw new LumeoError(
        "CONFIG",
        `Cannot take a snapshot: "${from}" is no master of this group`,
      );
    }
    return { from, offer: decodeOffer(header), offset: decodeOffset(header) };
  }

  /** Who is calling, if it is meant for this member (T2). */
  #checkRoute(route: {
    readonly clusterId?: string | null;
    readonly from?: string | null;
    readonly to?: string | null;
  }): NodeId {
    const { clusterId, self } = this.#options;
    const wrong = (why: string) =>
      new LumeoError("CONFIG", `Cannot join the masters: ${why}. Check the lists of masters`);
    if (route.clusterId !== clusterId) {
      throw wrong(`this is cluster "${clusterId}", called was "${route.clusterId ?? ""}"`);
    }
    if (route.to !== self) throw wrong(`this is master "${self}", called was "${route.to ?? ""}"`);
    if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(route.from ?? "")) throw wrong("the caller has no name");
    const from = nodeId(route.from ?? "");
    if (from === self) throw wrong(`"${self}" is this master's own name`);
    if (!this.#registry.isMember(from) && STRANGERS_MAX <= this.#inbound.size) {
      throw new LumeoError("OVERLOADED", `Cannot listen to "${from}": too many others call`);
    }
    if (this.#listener === undefined || this.#isClosed) {
      throw new LumeoError("UNAVAILABLE", `Master "${self}" is not ready yet`);
    }
    return from;
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
