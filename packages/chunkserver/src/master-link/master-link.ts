// The chunkserver's side of its conversation with the masters.
//
// It looks for the leader, registers there, and holds a stream of heartbeats open. While the stream
// lives, the store's inventory is reported page by page; the leader's answers name replicas that
// nobody needs (they are removed) and replicas to read again (they are verified). When the stream
// breaks, all begins anew, perhaps with another leader.
//
// K1. The number given at registration belongs to the store's UUID: it never changes. A master that
//     answers another number, or another cluster, is refused.
// K2. Nothing that a master says makes the store forget a replica, except `garbage` of the leader
//     that this link is registered with.
// K3. A leader that answers no heartbeats for SILENT_MS, or a little longer, stands still: another
//     one may lead by then, and whoever writes needs this server to know it.

import {
  asLumeoError,
  type ChunkHandle,
  type Clock,
  type Closable,
  chunkHandle,
  type DiskReport,
  invariant,
  type Logger,
  LumeoError,
  type MonotonicMs,
  type Random,
  serverId,
  type Timers,
  TOKEN_SECRET_BYTES,
  TokenKey,
  wallMs,
} from "@lumeofs/base";
import { openStream, RpcChannel, type RpcNetwork, type RpcStream, unary } from "@lumeofs/node/rpc";
import { FleetService, type lumeo } from "@lumeofs/proto";
import type { TokenListener } from "../access/masters-word.js";
import type { WriteFence } from "../access/write-fence.js";
import type { ScrubStatus } from "../scrub/scrub.js";
import type { ChunkStore, ReplicaName } from "../store/chunk-store.js";
import type { Membership } from "../store/volume.js";
import type { CopyService, CopyWatch } from "../transfer/copy-service.js";
import type { StoppedChunks } from "../transfer/stopped-chunks.js";
import { encodeDisk } from "./disk-wire.js";
import { InventoryRound, type InventoryStatus } from "./inventory-round.js";
import { LeaderSearch } from "./leader-search.js";
import { DamageReport } from "./report.js";
import { encodeScrub } from "./scrub-wire.js";

const REGISTER_TIMEOUT_MS = 3_000;
/** See K3. Longer than an election takes to begin, so that there is mostly somebody to turn to. */
const SILENT_MS = 1_500;
const INVENTORY_TIMEOUT_MS = 10_000;
/** Handles in one page of the inventory. */
const INVENTORY_PAGE = 2_000;
/** Replicas that wait to be verified; more orders than this are passed over until asked again. */
const VERIFY_WAITING_MAX = 10_000;

type HeartbeatStream = RpcStream<
  lumeo.master.v1.IHeartbeatRequest,
  lumeo.master.v1.IHeartbeatResponse
>;

export interface MasterLinkConfig {
  readonly name: string;
  readonly masters: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** host:port as others reach it. */
  readonly dataAddress: string;
  readonly controlAddress: string;
  /** Pause between two pages of the inventory. */
  readonly inventoryPauseMs: number;
}

/** Who this store is, kept with the store. */
export interface StoreIdentity {
  /** Made when the store was formatted. */
  readonly uuid: string;
  /** Undefined until the masters have taken the store in for the first time. */
  readonly membership: Membership | undefined;
  /** Keeps what the masters said, durably. */
  join(membership: Membership): Promise<void>;
}

export interface MasterLinkPorts {
  readonly identity: StoreIdentity;
  readonly store: ChunkStore;
  readonly copies: Pick<CopyService, "watch" | "remove">;
  readonly tokens: TokenListener;
  readonly fence: Pick<WriteFence, "agreed" | "answered">;
  readonly stopped: StoppedChunks;
  readonly scrub: () => ScrubStatus;
  readonly disks: () => readonly DiskReport[];
  readonly writesInFlight: () => number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly network: RpcNetwork;
  readonly logger: Logger;
}

export class MasterLink implements Closable {
  readonly #config: MasterLinkConfig;
  readonly #ports: MasterLinkPorts;
  readonly #search: LeaderSearch;
  readonly #stopping = new AbortController();
  readonly #registered: Promise<Membership>;
  #announce: (membership: Membership) => void = () => {};
  readonly #inventory = new InventoryRound();
  /** When its last whole round ended, or the masters took the store in again since. */
  #wholeAtMs: MonotonicMs;
  #verifying: Promise<void> | undefined;
  readonly #toVerify = new Set<number>();
  /** This stream has brought the keys: those of another leader's cluster may have our numbers. */
  #hasKeys = false;
  #leader: RpcChannel | undefined;
  /** What the log has said last about why this store is not taken in. */
  #refusal = "";
  #running: Promise<void> = Promise.resolve();
  /** Sends a heartbeat out of turn, while there is a stream. */
  #beat: () => void = () => {};
  /** Of the stream of heartbeats. */
  #report: DamageReport | undefined;

  constructor(config: MasterLinkConfig, ports: MasterLinkPorts) {
    this.#config = config;
    this.#ports = ports;
    this.#search = new LeaderSearch(config.masters);
    this.#wholeAtMs = ports.clock.monotonicMs();
    this.#registered = new Promise((resolve) => {
      this.#announce = resolve;
    });
  }

  /** Begins to look for the leader; never gives up. */
  static start(config: MasterLinkConfig, ports: MasterLinkPorts): MasterLink {
    const link = new MasterLink(config, ports);
    link.#running = link.#run();
    return link;
  }

  /** Resolves when the masters have taken this store in. */
  get registered(): Promise<Membership> {
    return this.#registered;
  }

  get membership(): Membership | undefined {
    return this.#ports.identity.membership;
  }

  /** How far the masters have been told what is here. */
  get inventory(): InventoryStatus {
    const { begun, whole } = this.#inventory;
    const { store, clock } = this.#ports;
    const pages = 1 + Math.ceil(store.status().chunkCount / INVENTORY_PAGE);
    const sinceWholeMs = clock.monotonicMs() - this.#wholeAtMs;
    return { begun, whole, sinceWholeMs, roundMs: pages * this.#config.inventoryPauseMs };
  }

  /** To the leader that this store is registered with; undefined while there is none. */
  get leader(): RpcChannel | undefined {
    return this.#leader;
  }

  /** A chunk of the store was found to be damaged: the leader is told at once. */
  damageFound(handle: ChunkHandle): void {
    this.#report?.found(handle);
    this.reportNow();
  }

  /** Tells the leader at once what is new, such as damage; or as soon as there is a leader. */
  reportNow(): void {
    this.#beat();
  }

  async close(): Promise<void> {
    this.#stopping.abort(new LumeoError("CLOSED", "The link to the masters is closing"));
    await this.#running;
    await this.#verifying;
  }

  async #run(): Promise<void> {
    const { random, network, logger } = this.#ports;
    while (!this.#stopping.signal.aborted) {
      const address = this.#search.next();
      const channel = new RpcChannel(address, { network });
      try {
        const heartbeatMs = await this.#register(channel);
        this.#search.found(address);
        this.#refusal = "";
        logger.info("registered with leader", { address });
        await this.#converse(channel, heartbeatMs);
      } catch (thrown) {
        const error = asLumeoError(thrown);
        if (error.code === "TIMEOUT") this.#search.stoodStill(address);
        else this.#search.failed(error.details.leader);
        this.#tell(address, error);
      } finally {
        await channel.close();
      }
      await this.#pause(this.#search.pauseMs(random.fraction()));
    }
  }

  /** A refusal that only an operator can end is told aloud, but once. */
  #tell(address: string, error: LumeoError): void {
    const { logger } = this.#ports;
    const { code, message } = error;
    if (error.retryable || code === "CLOSED" || message === this.#refusal) {
      logger.debug("leader not reached", { address, code, error });
      return;
    }
    this.#refusal = message;
    logger.warn("the masters refuse this store", { address, code, error });
  }

  /** @returns Milliseconds between heartbeats. */
  async #register(channel: RpcChannel): Promise<number> {
    const { name, labels, dataAddress, controlAddress } = this.#config;
    const answer = await unary(
      channel,
      FleetService.register,
      {
        name,
        labels: { ...labels },
        dataAddress,
        controlAddress,
        storeUuid: this.#ports.identity.uuid,
        clusterId: this.membership?.clusterId ?? "",
      },
      { timeoutMs: REGISTER_TIMEOUT_MS, signal: this.#stopping.signal },
    );
    this.#search.follow(answer.masters ?? []);
    await this.#accept({
      serverId: serverId(answer.serverId ?? 0),
      clusterId: answer.clusterId ?? "",
    });
    this.#ports.fence.agreed(answer.fenceMs ?? 0);
    const heartbeatMs = answer.heartbeatMs ?? 0;
    if (heartbeatMs < 1) {
      throw new LumeoError("PROTOCOL", `Cannot register: ${channel.address} set no heartbeat`);
    }
    return heartbeatMs;
  }

  /** K1. */
  async #accept(membership: Membership): Promise<void> {
    const { identity } = this.#ports;
    const known = identity.membership;
    if (known === undefined) await identity.join(membership);
    else if (known.serverId !== membership.serverId || known.clusterId !== membership.clusterId) {
      throw new LumeoError(
        "PROTOCOL",
        `Cannot register: this store is server ${known.serverId} of cluster ` +
          `"${known.clusterId}", and was answered ${membership.serverId} of ` +
          `"${membership.clusterId}"`,
      );
    }
    this.#announce(membership);
  }

  /** Lives as long as the stream of heartbeats does; throws what ended it. */
  async #converse(channel: RpcChannel, heartbeatMs: number): Promise<void> {
    const ended = new AbortController();
    const signal = AbortSignal.any([ended.signal, this.#stopping.signal]);
    const stream = await openStream(channel, FleetService.heartbeat, { signal });
    const report = new DamageReport();
    this.#report = report;
    /** When the heartbeats were sent that are not answered yet; answers come in their order. */
    const sentAt: MonotonicMs[] = [];
    this.#hasKeys = false;
    let sending = Promise.resolve();
    let isWaiting = false;
    const beat = (): void => {
      if (isWaiting) return; // the one that waits tells this too
      isWaiting = true;
      const send = (): Promise<void> => {
        isWaiting = false;
        sentAt.push(this.#ports.clock.monotonicMs());
        return this.#heartbeat(stream, report);
      };
      sending = sending.then(send).catch(() => stream.cancel());
    };
    this.#beat = beat;
    this.#leader = channel;
    let silentBeats = 0;
    const silentBeatsMax = 1 + Math.ceil(SILENT_MS / heartbeatMs);
    const alarm = this.#ports.timers.every(heartbeatMs, () => {
      // Counted, not timed: who stood still itself has not been listening.
      if (++silentBeats < silentBeatsMax) return beat();
      const { address } = channel;
      stream.cancel(new LumeoError("TIMEOUT", `${address} has not answered heartbeats`));
    });
    this.#wholeAtMs = this.#ports.clock.monotonicMs();
    const inventory = this.#reportInventory(channel, signal);
    try {
      beat();
      for await (const answer of stream) {
        silentBeats = 0;
        const at = sentAt.shift();
        if (at !== undefined) this.#ports.fence.answered(at);
        this.#obey(answer);
      }
      throw new LumeoError("CONNECTION_LOST", `${channel.address} ended the heartbeats`);
    } finally {
      alarm.cancel();
      this.#beat = () => {};
      this.#report = undefined;
      this.#leader = undefined;
      ended.abort(new LumeoError("CONNECTION_LOST", "The stream of heartbeats has ended"));
      await Promise.all([sending, inventory]);
    }
  }

  async #heartbeat(stream: HeartbeatStream, report: DamageReport): Promise<void> {
    const { membership } = this;
    invariant(membership !== undefined, "heartbeat before registration");
    const { store, identity, writesInFlight } = this.#ports;
    const { state, chunkCount, usedBytes, capacityBytes, freeBytes, highestHandle } =
      store.status();
    await stream.send({
      serverId: membership.serverId,
      storeUuid: identity.uuid,
      chunkCount,
      usedBytes,
      capacityBytes,
      freeBytes,
      highestHandle,
      readOnly: state !== "serving",
      writesInFlight: writesInFlight(),
      damagedHandles: [...report.take(store.damaged())],
      scrub: encodeScrub(this.#ports.scrub()),
      disks: this.#ports.disks().map(encodeDisk),
      stoppedHandles: [...this.#ports.stopped.list()],
      tokenKeyId: this.#hasKeys ? this.#ports.tokens.newestKey : 0,
    });
  }

  #obey(answer: lumeo.master.v1.IHeartbeatResponse): void {
    this.#search.follow(answer.masters ?? []);
    this.#hearOfTokens(answer);
    for (const handle of answer.stopHandles ?? []) this.#stop(chunkHandle(handle));
    for (const handle of answer.verifyHandles ?? []) {
      if (VERIFY_WAITING_MAX <= this.#toVerify.size) break;
      this.#toVerify.add(handle);
    }
    this.#verifying ??= this.#verifyAll().finally(() => {
      this.#verifying = undefined;
    });
  }

  #hearOfTokens({ leaderTimeMs, tokenKeys }: lumeo.master.v1.IHeartbeatResponse): void {
    const { tokens } = this.#ports;
    if (0 < (leaderTimeMs ?? 0)) tokens.toldTime(wallMs(leaderTimeMs ?? 0));
    const keys = (tokenKeys ?? []).map(decodeTokenKey);
    if (keys.length === 0) return;
    this.#hasKeys = true;
    tokens.toldKeys(keys);
    this.#ports.logger.info("token keys learned", { index: tokens.newestKey });
  }

  /** Two histories are known of a chunk: which one is here does not matter. */
  #stop(handle: ChunkHandle): void {
    const { store, stopped } = this.#ports;
    if (stopped.has(handle) || store.find(handle) === undefined) return;
    const why = "another server has found two histories of it";
    stopped.stop(handle, why).catch(() => undefined); // whoever owns the disk has been told
  }

  /** One after the other: a verification reads a whole replica. Damage is reported by the store. */
  async #verifyAll(): Promise<void> {
    const { store, logger } = this.#ports;
    for (const handle of this.#toVerify) {
      if (this.#stopping.signal.aborted) return;
      this.#toVerify.delete(handle);
      try {
        const verdict = await store.verify(chunkHandle(handle));
        logger.info(`replica verified: ${verdict.kind}`, { chunk: handle });
      } catch (error) {
        logger.warn("replica not verified", { chunk: handle, error });
      }
    }
  }

  /** Goes round and round over the inventory, a page at a time, until the stream ends. */
  async #reportInventory(channel: RpcChannel, signal: AbortSignal): Promise<void> {
    const { logger } = this.#ports;
    while (!signal.aborted) {
      await this.#pause(this.#config.inventoryPauseMs, signal);
      if (signal.aborted) return;
      try {
        await this.#reportNextPage(channel, signal);
      } catch (error) {
        if (!signal.aborted) logger.warn("inventory not reported", { error });
      }
    }
  }

  async #reportNextPage(channel: RpcChannel, signal: AbortSignal): Promise<void> {
    const copies = this.#ports.copies.watch();
    try {
      const { store } = this.#ports;
      const after = this.#inventory.next(store.status().highestHandle);
      const page = await store.page(after, INVENTORY_PAGE);
      this.#inventory.passed(page, INVENTORY_PAGE);
      const isTold =
        page.length === 0 || (await this.#reportPage(channel, { after, page }, { copies, signal }));
      if (isTold) this.#pageTold();
    } finally {
      copies.end();
    }
  }

  /**
   * K2. What was written under a later epoch since it was reported stays; so does what the masters
   * ordered to be copied meanwhile: the answer may be older than the order.
   *
   * @returns Whether the masters could judge the page, and all that they named is gone.
   */
  async #reportPage(
    channel: RpcChannel,
    { after, page }: { readonly after: number | undefined; readonly page: readonly ReplicaName[] },
    during: { readonly copies: CopyWatch; readonly signal: AbortSignal },
  ): Promise<boolean> {
    const { identity, logger } = this.#ports;
    const { copies, signal } = during;
    const answer = await unary(
      channel,
      FleetService.reportInventory,
      {
        serverId: this.membership?.serverId ?? 0,
        storeUuid: identity.uuid,
        handles: page.map(({ handle }) => handle),
        epochs: page.map(({ epoch }) => epoch),
        after: after ?? 0,
        last: page.length < INVENTORY_PAGE,
      },
      { timeoutMs: INVENTORY_TIMEOUT_MS, signal },
    );
    const named = new Set<number>(answer.garbageHandles ?? []);
    const garbage = page.filter(({ handle }) => named.has(handle) && !copies.touched.has(handle));
    if (0 < garbage.length) {
      const { removedCount } = await this.#ports.copies.remove(garbage);
      logger.info("garbage removed", { count: removedCount });
    }
    return answer.undecided !== true && garbage.length === named.size;
  }

  #pageTold(): void {
    const { whole } = this.#inventory;
    this.#inventory.told();
    if (whole !== this.#inventory.whole) this.#wholeAtMs = this.#ports.clock.monotonicMs();
  }

  #pause(ms: number, signal: AbortSignal = this.#stopping.signal): Promise<void> {
    if (signal.aborted || ms <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        alarm.cancel();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const alarm = this.#ports.timers.after(ms, done);
      signal.addEventListener("abort", done, { once: true });
    });
  }
}

/** @throws LumeoError PROTOCOL; the message shows no secret. */
function decodeTokenKey({ id, secret }: lumeo.master.v1.ITokenKey): TokenKey {
  if (secret?.byteLength === TOKEN_SECRET_BYTES && 0 < (id ?? 0)) {
    return new TokenKey(id ?? 0, Uint8Array.from(secret));
  }
  throw new LumeoError("PROTOCOL", `Cannot use token key ${id ?? 0}: it has another length`);
}
