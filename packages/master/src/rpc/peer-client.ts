// The way to one other master: a stream for each lane, opened again whenever it breaks, and an
// upload for a snapshot. Each has a connection of its own.

import {
  type Alarm,
  type Closable,
  type Logger,
  LumeoError,
  type NodeId,
  type Timers,
} from "@lumeofs/base";
import { openStream, RpcChannel, type RpcStream, upload } from "@lumeofs/node/rpc";
import { type lumeo, RaftService } from "@lumeofs/proto";
import type { SnapshotOffer } from "../consensus/peer-link.js";
import type { RaftMessage } from "../raft/message.js";
import { MessageQueue } from "./message-queue.js";
import {
  decodeMessage,
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
/** A transfer that takes longer is given up; Raft begins another one. */
const SNAPSHOT_TIMEOUT_MS = 10 * 60_000;

export interface PeerClientOptions {
  /** Both ends must belong to the same cluster. */
  readonly clusterId: string;
  readonly self: NodeId;
  readonly peer: NodeId;
  /** host:port */
  readonly address: string;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly onMessage: (message: RaftMessage) => void;
  readonly onUnreachable: () => void;
}

export class PeerClient implements Closable {
  readonly #options: PeerClientOptions;
  readonly #lanes: ReadonlyMap<RaftLane, Lane>;
  readonly #snapshots: RpcChannel;

  /** Begins to connect. */
  constructor(options: PeerClientOptions) {
    this.#options = options;
    this.#lanes = new Map(RAFT_LANES.map((lane) => [lane, new Lane(lane, options)]));
    this.#snapshots = new RpcChannel(options.address);
  }

  /** Sends, or drops while there is no connection. */
  send(message: RaftMessage): void {
    this.#lanes.get(laneOf(message))?.send(message);
  }

  /** True once the peer has it durably. */
  async sendSnapshot(offer: SnapshotOffer, pieces: AsyncIterable<Uint8Array>): Promise<boolean> {
    const { clusterId, self, peer, logger } = this.#options;
    const route = { clusterId, from: self, to: peer };
    const requests = async function* (): AsyncIterable<InstallSnapshotRequest> {
      yield { header: encodeOffer(offer, route) };
      for await (const piece of pieces) yield { piece };
    };
    try {
      const timeoutMs = SNAPSHOT_TIMEOUT_MS;
      const answer = await upload(this.#snapshots, RaftService.installSnapshot, requests(), {
        timeoutMs,
      });
      return answer.received ?? false;
    } catch (error) {
      logger.warn("Cannot send a snapshot", { peer, index: offer.meta.index, error });
      return false;
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => lane.close()));
    await this.#snapshots.close();
  }
}

/** One stream, kept open. */
class Lane {
  readonly #lane: RaftLane;
  readonly #options: PeerClientOptions;
  readonly #channel: RpcChannel;
  readonly #running: Promise<void>;
  #queue: MessageQueue | undefined;
  #pause: { readonly alarm: Alarm; readonly end: () => void } | undefined;
  #isClosed = false;

  constructor(lane: RaftLane, options: PeerClientOptions) {
    this.#lane = lane;
    this.#options = options;
    this.#channel = new RpcChannel(options.address);
    this.#running = this.#run();
  }

  send(message: RaftMessage): void {
    this.#queue?.push(message);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#pause?.alarm.cancel();
    this.#pause?.end();
    await this.#channel.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { peer, address, logger, onUnreachable } = this.#options;
    let failures = 0;
    while (!this.#isClosed) {
      try {
        await this.#exchange(() => {
          failures = 0;
        });
      } catch (error) {
        // Once for each time that the connection is lost, not for every attempt.
        if (failures === 0 && !this.#isClosed) {
          logger.warn("No connection to another master", { peer, address, error });
        }
      }
      this.#queue?.close();
      this.#queue = undefined;
      if (this.#isClosed) return;
      onUnreachable();
      await this.#wait(Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** failures));
      failures += 1;
    }
  }

  /** Opens the stream and passes on what comes, until it ends. */
  async #exchange(onOpen: () => void): Promise<void> {
    const { clusterId, self, peer, onMessage, onUnreachable, logger } = this.#options;
    const stream: RpcStream<ExchangeRequest, ExchangeResponse> = await openStream(
      this.#channel,
      RaftService.exchange,
    );
    await stream.send({ clusterId, from: self, to: peer, lane: encodeLane(this.#lane) });
    const queue = new MessageQueue((messages) => stream.send({ messages }), onUnreachable);
    this.#queue = queue;
    let isOpen = false;
    for await (const response of stream) {
      // The first one, without messages, says that the peer has taken the stream.
      if (!isOpen) {
        isOpen = true;
        onOpen();
        logger.info("Connected to another master", { peer, component: this.#lane });
      }
      for (const message of response.messages ?? []) onMessage(decodeMessage(message));
    }
    throw new LumeoError("CONNECTION_LOST", `Master "${peer}" has ended the stream`);
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#pause = { alarm: this.#options.timers.after(ms, resolve), end: resolve };
    });
  }
}
