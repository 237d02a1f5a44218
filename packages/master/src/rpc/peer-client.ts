// The way to one other master: a stream for each lane, opened again whenever it breaks, and an
// upload for a snapshot. Each has a connection of its own; those of the lanes carry small messages
// and go without HTTP/2, which costs more than twice as much for each.

import {
  type Alarm,
  type Closable,
  type Logger,
  LumeoError,
  type NodeId,
  type Timers,
} from "@lumeofs/base";
import {
  openStream,
  RpcChannel,
  type RpcNetwork,
  type RpcStream,
  unary,
  upload,
} from "@lumeofs/node/rpc";
import { encodedInParts, lumeo, RaftService } from "@lumeofs/proto";
import type {
  PeerIdentity,
  SnapshotBytes,
  SnapshotDelivery,
  SnapshotOffer,
} from "../consensus/peer-link.js";
import type { RaftMessage } from "../raft/message.js";
import { MessageQueue } from "./message-queue.js";
import type { Standing } from "./peer-registry.js";
import {
  decodeIdentity,
  decodeMessage,
  decodeStanding,
  encodeLane,
  encodeOffer,
  laneOf,
  RAFT_LANES,
  type RaftLane,
} from "./raft-wire.js";

type ExchangeRequest = lumeo.master.v1.IExchangeRequest;
type ExchangeResponse = lumeo.master.v1.IExchangeResponse;
type InstallSnapshotRequest = lumeo.master.v1.IInstallSnapshotRequest;

const BACKOFF_MS_MIN = 50;
const BACKOFF_MS_MAX = 1_000;
const OFFER_TIMEOUT_MS = 10_000;
/** A transfer in which nothing moves for so long is broken off. */
const SILENCE_MS_MAX = 30_000;
/** So much for a whole transfer; what has arrived by then is not sent again. */
const SNAPSHOT_TIMEOUT_MS = 6 * 60 * 60_000;

export interface PeerClientOptions {
  /** Both ends must belong to the same cluster. */
  readonly clusterId: string;
  readonly self: NodeId;
  readonly identity: PeerIdentity;
  readonly peer: NodeId;
  /**
   * host:port where the peer may be, the likeliest first. Asked at every attempt; none once the
   * peer is no member any more, while what is under way with it ends.
   */
  readonly addresses: () => readonly string[];
  readonly timers: Timers;
  readonly network?: RpcNetwork | undefined;
  readonly logger: Logger;
  readonly onMessage: (message: RaftMessage) => void;
  /** Nobody listens at the peer's address: right after a connection there was lost. */
  readonly onGone: () => void;
  readonly onUnreachable: () => void;
  /** The peer has said who it is. False if nothing of it is to be heard. */
  readonly onIdentified: (identity: PeerIdentity) => boolean;
  /** The peer does not want to hear this member. */
  readonly onDisowned: (why: Exclude<Standing, "welcome">) => void;
}

export class PeerClient implements Closable {
  readonly #options: PeerClientOptions;
  readonly #lanes: ReadonlyMap<RaftLane, Lane>;
  #snapshots: RpcChannel | undefined;

  /** Begins to connect. */
  constructor(options: PeerClientOptions) {
    this.#options = options;
    this.#lanes = new Map(RAFT_LANES.map((lane) => [lane, new Lane(lane, options)]));
  }

  /** Sends, or drops while there is no connection. */
  send(message: RaftMessage): void {
    this.#lanes.get(laneOf(message))?.send(message);
  }

  /** `delivered` once the peer has it durably; what it has already is not sent again. */
  async sendSnapshot(offer: SnapshotOffer, bytes: SnapshotBytes): Promise<SnapshotDelivery> {
    const { clusterId, self, identity, peer, logger, timers } = this.#options;
    const route = { clusterId, from: self, to: peer, store: identity.store };
    const stop = new AbortController();
    const silence = new Silence(timers, () => stop.abort());
    const requests = async function* (offset: number): AsyncIterable<InstallSnapshotRequest> {
      yield { header: encodeOffer(offer, route, offset) };
      for await (const piece of bytes(offset)) {
        silence.broken();
        yield { piece };
      }
    };
    try {
      const header = encodeOffer(offer, route, 0);
      const asked = { timeoutMs: OFFER_TIMEOUT_MS };
      const channel = await this.#snapshotChannel();
      const held = await unary(channel, RaftService.offerSnapshot, { header }, asked);
      if (!held.wanted) return "refused";
      const limits = { timeoutMs: SNAPSHOT_TIMEOUT_MS, signal: stop.signal };
      const pieces = requests(held.offset ?? 0);
      const sent = await upload(channel, RaftService.installSnapshot, pieces, limits);
      return sent.received ? "delivered" : "refused";
    } catch (error) {
      logger.warn("A snapshot was not delivered", { peer, index: offer.meta.index, error });
      return "broken";
    } finally {
      silence.end();
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => lane.close()));
    await this.#snapshots?.close();
  }

  /** To where a lane has found the peer. */
  async #snapshotChannel(): Promise<RpcChannel> {
    const known = this.#lanes.get("append")?.address ?? this.#options.addresses()[0];
    const address = known ?? this.#snapshots?.address;
    if (address === undefined) {
      throw new LumeoError("UNAVAILABLE", `Master "${this.#options.peer}" has no address any more`);
    }
    if (this.#snapshots?.address !== address) {
      await this.#snapshots?.close();
      this.#snapshots = new RpcChannel(address, { network: this.#options.network });
    }
    return this.#snapshots;
  }
}

/** Ends a transfer in which nothing moves. */
class Silence {
  readonly #timers: Timers;
  readonly #onTooLong: () => void;
  #alarm: Alarm;

  constructor(timers: Timers, onTooLong: () => void) {
    this.#timers = timers;
    this.#onTooLong = onTooLong;
    this.#alarm = timers.after(SILENCE_MS_MAX, onTooLong);
  }

  /** Something has moved. */
  broken(): void {
    this.#alarm.cancel();
    this.#alarm = this.#timers.after(SILENCE_MS_MAX, this.#onTooLong);
  }

  end(): void {
    this.#alarm.cancel();
  }
}

/** One stream, kept open. */
class Lane {
  readonly #lane: RaftLane;
  readonly #options: PeerClientOptions;
  readonly #running: Promise<void>;
  #channel: RpcChannel | undefined;
  #queue: MessageQueue | undefined;
  #pause: { readonly alarm: Alarm; readonly end: () => void } | undefined;
  #isClosed = false;

  constructor(lane: RaftLane, options: PeerClientOptions) {
    this.#lane = lane;
    this.#options = options;
    this.#running = this.#run();
  }

  /** Where it was tried last. */
  get address(): string | undefined {
    return this.#channel?.address;
  }

  send(message: RaftMessage): void {
    this.#queue?.push(message);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#pause?.alarm.cancel();
    this.#pause?.end();
    await this.#channel?.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { peer, logger, onUnreachable, onGone } = this.#options;
    let failures = 0;
    while (!this.#isClosed) {
      const address = await this.#turnTo(failures);
      try {
        await this.#exchange(() => {
          failures = 0;
        });
      } catch (error) {
        // Once for each time that the connection is lost, not for every attempt.
        if (failures === 0 && !this.#isClosed) {
          const where = address === undefined ? {} : { address };
          logger.warn("No connection to another master", { peer, ...where, error });
        }
        if (this.#lane === "control" && failures === 1 && isRefused(error)) onGone();
      }
      this.#queue?.close();
      this.#queue = undefined;
      if (this.#isClosed) return;
      onUnreachable();
      await this.#wait(Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** failures));
      failures += 1;
    }
  }

  /** Tries the addresses of the peer in turn; stays where it is if there are none any more. */
  async #turnTo(failures: number): Promise<string | undefined> {
    const addresses = this.#options.addresses();
    const address = addresses[failures % addresses.length] ?? this.#channel?.address;
    if (address !== undefined && this.#channel?.address !== address) {
      await this.#channel?.close();
      this.#channel = new RpcChannel(address, { network: this.#options.network });
    }
    return address;
  }

  /** Opens the stream and passes on what comes, until it ends. */
  async #exchange(onOpen: () => void): Promise<void> {
    const { clusterId, self, identity, peer, onMessage, onUnreachable, logger } = this.#options;
    if (this.#channel === undefined || this.#isClosed) return;
    const stream: RpcStream<ExchangeRequest, ExchangeResponse> = await openStream(
      this.#channel,
      RaftService.exchange,
      { direct: true, inParts: exchangeInParts },
    );
    await stream.send({ clusterId, from: self, to: peer, lane: encodeLane(this.#lane), identity });
    const queue = new MessageQueue((messages) => stream.send({ messages }), onUnreachable);
    this.#queue = queue;
    let isOpen = false;
    for await (const response of stream) {
      // The first one, without messages, says who the peer is and whether it takes the stream.
      if (!isOpen) {
        if (!this.#isWelcome(response)) break;
        isOpen = true;
        onOpen();
        logger.info("Connected to another master", { peer, component: this.#lane });
      }
      for (const message of response.messages ?? []) onMessage(decodeMessage(message));
    }
    throw new LumeoError("CONNECTION_LOST", `Master "${peer}" has ended the stream`);
  }

  #isWelcome(response: ExchangeResponse): boolean {
    const { onDisowned, onIdentified } = this.#options;
    const standing = decodeStanding(response.standing ?? 0);
    if (standing !== "welcome") onDisowned(standing);
    return standing === "welcome" && onIdentified(decodeIdentity(response.identity));
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#pause = { alarm: this.#options.timers.after(ms, resolve), end: resolve };
    });
  }
}

/** Entries stay where they are: they are values that nobody changes. */
function exchangeInParts(request: ExchangeRequest): readonly Uint8Array[] {
  return encodedInParts(lumeo.master.v1.ExchangeRequest, request);
}

/** Whether a connection could not even be made. */
function isRefused(error: unknown): boolean {
  return error instanceof LumeoError && error.code === "UNAVAILABLE";
}
