// One master, put together: the only file that knows every part.
//
//   clients, chunkservers, operators ──► rpc/ ──► duties/metadata-log ──► consensus/ ──► state/
//                                         │             ▲                    ▲
//                                         └► fleet/, placement/   duties/ ───┘   (while leading)

import {
  type Closable,
  type Disk,
  LEASE_TERMS,
  type Logger,
  type Random,
  ResourceStack,
  TOKEN_SECRET_BYTES,
} from "@lumeofs/base";
import {
  AdminHttp,
  nativeHmacSha256,
  openMetrics,
  processFacts,
  type Readiness,
} from "@lumeofs/node";
import type { RpcListener, RpcMethod } from "@lumeofs/node/rpc";
import { TokenMint } from "./access/token-mint.js";
import type { MasterConfig } from "./config.js";
import { DRIVER_LIMITS_DEFAULT, RAFT_OPTIONS_DEFAULT } from "./consensus/config.js";
import { Consensus } from "./consensus/consensus.js";
import { leaseMs } from "./consensus/lease.js";
import { ReadGate } from "./consensus/read-gate.js";
import type { ReplicationStatus } from "./consensus/replication.js";
import { ConsensusMeter } from "./consensus-metrics.js";
import { fileExpiryDuty, lockExpiryDuty } from "./duties/attribute-duties.js";
import { conversionDuty } from "./duties/conversion/conversion-duty.js";
import { DutyRunner } from "./duties/duty.js";
import { grantExpiryDuty, sessionExpiryDuty, uploadExpiryDuty } from "./duties/expiry-duty.js";
import { feedTrimDuty } from "./duties/feed-trim-duty.js";
import { forgetDuty } from "./duties/forget-duty.js";
import { foundingDuty } from "./duties/founding-duty.js";
import { HealingFigures } from "./duties/healing/figures.js";
import { healingDuty } from "./duties/healing/healing-duty.js";
import { MetadataLog } from "./duties/metadata-log.js";
import { reapDuty } from "./duties/reap-duty.js";
import { stateCheckDuty } from "./duties/state-check-duty.js";
import { historySweepDuty, trashExpiryDuty } from "./duties/sweep-duty.js";
import { TailGate } from "./duties/tails/tail-gate.js";
import { TailKeeper, type TailKeeperParts } from "./duties/tails/tail-keeper.js";
import { tailsDuty } from "./duties/tails/tails-duty.js";
import { tokenKeyDuty } from "./duties/token-key-duty.js";
import { verifyDuty } from "./duties/verify-duty.js";
import { ChangeFeed } from "./feed/change-feed.js";
import { Fleet } from "./fleet/servers.js";
import { HealingMeter } from "./healing-metrics.js";
import { type MasterHost, THIS_MACHINE } from "./host.js";
import { quarantine, refuseQuarantined } from "./integrity/quarantine.js";
import { StateChecker } from "./integrity/state-checker.js";
import type { Verdict } from "./integrity/verdict.js";
import type { StateReader } from "./metadata/state.js";
import { isStateCheck } from "./metadata/state-check.js";
import { applyEntry } from "./metadata/state-machine.js";
import { checkMeter, METRICS, operationMeter, readFirst } from "./metrics.js";
import { adminMethods } from "./rpc/admin-service.js";
import { auditMethods } from "./rpc/audit-service.js";
import { backupMethods } from "./rpc/backup-service.js";
import { ChannelPool } from "./rpc/channel-pool.js";
import { chunkMethods } from "./rpc/chunk-service.js";
import { ChunkserverClient } from "./rpc/chunkserver-client.js";
import { fleetMethods } from "./rpc/fleet-service.js";
import { spareServers } from "./rpc/fleet-view.js";
import { healingMethods } from "./rpc/healing-service.js";
import type { InlineTerms } from "./rpc/inline-content.js";
import { askMaster, integrityMethods } from "./rpc/integrity-service.js";
import { JoinWatch } from "./rpc/join-watch.js";
import { masterAdminMethods } from "./rpc/master-admin.js";
import { masterDirectory } from "./rpc/master-directory.js";
import { namespaceMethods } from "./rpc/namespace-service.js";
import { OperationRoom } from "./rpc/operation-room.js";
import { RaftTransport } from "./rpc/raft-service.js";
import type { TailCarers } from "./rpc/tail-operations.js";
import { TailOrderClient } from "./rpc/tail-order-client.js";
import { tailMethods } from "./rpc/tail-service.js";
import { TranscodeClient } from "./rpc/transcode-client.js";
import { watchMethods } from "./rpc/watch-service.js";
import type { FrozenState } from "./state/frozen-state.js";
import { openLevelState } from "./state/level-state.js";
import { MachineState } from "./state/machine-state.js";
import { hashPieces, hashState } from "./state-hash.js";
import { LeaseBook } from "./tails/lease-book.js";

/** Calls and streams at once: clients, chunkservers and masters. */
const CALLS_MAX = 8_192;

/** A backup goes without what could not be sealed within this. */
const BACKUP_SEAL_MS = 10_000;

/** Copies under way at once, on all chunkservers together. */
const HEAL_MOVES_MAX = 512;
/** Conversions at once, of all servers. */
const CONVERSIONS_MAX = 16;
/** So many copies of small chunks count as one of a large chunk. */
const HEAL_SMALL_FOR_ONE = 8;

export interface MasterPorts {
  readonly logger: Logger;
  /** This master cannot go on; the process should end at once. */
  readonly onFatal: (error: unknown) => void;
  /** Default: this machine. */
  readonly host?: MasterHost;
}

/** How often a master that nobody asks makes sure that it is up to date. */
const REFRESH_MS = 500;

/** A master that is behind, or reads a large state slowly, is waited for this long. */
const CHECK_PATIENCE = { pollMs: 500, patienceMs: 5 * 60_000 };

export class Master implements Closable {
  /** host:port where it serves. */
  readonly address: string;
  /** The state that this master has applied, for whoever watches it in its own process. */
  readonly reader: StateReader;
  readonly #consensus: Consensus;
  readonly #open: ResourceStack;

  private constructor(address: string, parts: Parts, open: ResourceStack) {
    this.address = address;
    this.reader = parts.state.reader;
    this.#consensus = parts.consensus;
    this.#open = open;
  }

  /** @throws LumeoError CONFIG, CORRUPT or STORE_FAILED; what was open is closed then. */
  static async start(config: MasterConfig, ports: MasterPorts): Promise<Master> {
    await using opening = new ResourceStack();
    const { logger, host = THIS_MACHINE } = ports;
    const { clock, timers, random, network, databases } = host;
    const disk = await host.openDisk(config.dir);
    await refuseQuarantined(disk);
    const store = await openLevelState({ folder: config.dir, disk, timers, ...databases });
    // A leader that cannot read its state must not lead on: it would refuse all that is asked.
    store.failed.then(ports.onFatal);
    const state = opening.use(new MachineState(store, applyEntry, isStateCheck));
    const channels = opening.use(new ChannelPool(network));
    const links = opening.use(transportOf(config, host, logger));
    const consensus = opening.use(
      await Consensus.start(consensusConfigOf(config), {
        disk,
        state,
        links,
        timers,
        clock,
        random,
        ...databases,
        logger: logger.child({ component: "consensus" }),
        onFatal: ports.onFatal,
      }),
    );
    const log = new MetadataLog({ replication: consensus, reader: state.reader, clock });
    const reads = opening.use(readGateOf(config, host, consensus));
    const fleet = watchedFleet(config, { host, consensus }, opening);
    const mint = new TokenMint({ clock, hmac: nativeHmacSha256, lifeMs: config.tokenMs });
    const tails = tailsOf({ config, log, host, fleet, mint, channels, logger });
    const freeze = async (): Promise<FrozenState> => {
      await consensus.read();
      await store.flush();
      return store.freeze();
    };
    const base = { config, host, disk, consensus, state, channels, logger, onFatal: ports.onFatal };
    const healing = new HealingFigures();
    const orders = new ChunkserverClient(channels, (chunk, withinMs) =>
      mint.forOrder(log.local, chunk, withinMs),
    );
    const transcoding = transcodingOf(config, { channels, mint, log });
    const served = { ...base, log, reads, freeze, fleet, healing, mint, orders, tails };
    const parts = { ...served, transcoding };
    opening.use(new DutyRunner(dutiesOf(parts), { replication: consensus, timers, logger }));
    const server = opening.use(await serve(parts, links, opening));
    opening.use(new JoinWatch({ ...config, group: consensus.group, channels, timers, logger }));
    logger.info("master started", { address: server.address });
    return new Master(server.address, parts, opening.move());
  }

  get status(): ReplicationStatus {
    return this.#consensus.status;
  }

  /** Masters whose stores this one knows for good: nobody else can take the name of one. */
  get knownMasters(): readonly string[] {
    return Object.keys(this.#consensus.group.memberships.settled.stores);
  }

  /** Hands the leadership over first, if somebody can take it: so nobody has to miss a leader. */
  async close(): Promise<void> {
    await this.#consensus.handOver();
    await this.#open.close();
  }
}

interface Parts {
  readonly config: MasterConfig;
  readonly host: MasterHost;
  readonly disk: Disk;
  readonly onFatal: (error: unknown) => void;
  readonly consensus: Consensus;
  readonly state: MachineState;
  /** The state with everything that was acknowledged before. */
  readonly freeze: () => Promise<FrozenState>;
  readonly log: MetadataLog;
  readonly reads: ReadGate;
  readonly fleet: Fleet;
  readonly healing: HealingFigures;
  readonly mint: TokenMint;
  readonly orders: ChunkserverClient;
  readonly transcoding: TranscodeClient;
  readonly tails: TailCarers;
  readonly channels: ChannelPool;
  readonly logger: Logger;
}

function transportOf(config: MasterConfig, host: MasterHost, logger: Logger): RaftTransport {
  const { clusterName: clusterId, id: self, hints } = config;
  const { timers, network } = host;
  return new RaftTransport({ clusterId, self, hints, timers, network, logger });
}

function consensusConfigOf(config: MasterConfig) {
  const { id, founders, address, dir: folder, tickMs } = config;
  const { electionTicks, heartbeatTicks, compactEntries, tailEntries, leaseReads, logStore } =
    config;
  const leases = leaseReads === "on";
  return {
    id,
    founders,
    address,
    logStore,
    folder,
    tickMs,
    raft: { ...RAFT_OPTIONS_DEFAULT, electionTicks, heartbeatTicks, leases },
    limits: { ...DRIVER_LIMITS_DEFAULT, compactEntries, tailEntries },
  };
}

/** Leases are renewed with every heartbeat; without them a stale read is at most so much behind. */
function readGateOf(
  config: MasterConfig,
  { clock, timers }: MasterHost,
  replication: Consensus,
): ReadGate {
  const { leaseReads, tickMs, heartbeatTicks } = config;
  const options =
    leaseReads === "on"
      ? { leaseMs: leaseMs(config, tickMs), refreshMs: heartbeatTicks * tickMs }
      : { leaseMs: undefined, refreshMs: REFRESH_MS };
  return new ReadGate({ replication, clock, timers }, options);
}

/** What is believed about chunkservers begins anew whenever this master begins to lead. */
function watchedFleet(
  config: MasterConfig,
  { host: { clock }, consensus }: { readonly host: MasterHost; readonly consensus: Consensus },
  opening: ResourceStack,
): Fleet {
  const fleet = new Fleet(config, clock.monotonicMs());
  let wasLeading = false;
  const stop = consensus.onRole(({ role }) => {
    const isLeading = role === "leader";
    if (isLeading !== wasLeading) fleet.reset(clock.monotonicMs());
    wasLeading = isLeading;
  });
  opening.use({ close: async () => stop() });
  return fleet;
}

/** What looks after the growing chunks of files. */
function tailsOf(
  parts: Pick<Parts, "config" | "log" | "host" | "fleet" | "mint" | "channels" | "logger">,
): TailCarers {
  const { config, log, host, fleet, mint, channels, logger } = parts;
  const { clock, timers, random } = host;
  const { failureDomain } = config;
  const leases = new LeaseBook(LEASE_TERMS, clock.monotonicMs());
  const orders = new TailOrderClient(channels);
  const component = logger.child({ component: "tails" });
  const repeatMs = config.tokenMs / 4;
  const spares: TailKeeperParts["spares"] = (count, taken) => {
    const now = clock.monotonicMs();
    return spareServers({ state: log.local, fleet, now, failureDomain, random }, count, taken);
  };
  const known = { log, clock, timers, fleet, orders, leases, mint };
  const care = { ...known, spares, repeatMs, logger: component };
  const keeper = new TailKeeper(care);
  return { keeper, gate: new TailGate(log, keeper) };
}

/** Who converts chunks; shown are a token for the old one and a token for the new one. */
function transcodingOf(
  { grantUsableMs: lifeMs }: MasterConfig,
  { channels, mint, log }: Pick<Parts, "channels" | "mint" | "log">,
): TranscodeClient {
  return new TranscodeClient(channels, ({ source, target }, withinMs) => {
    const { handle, chunk } = source;
    const { handle: firstHandle, epoch } = target;
    const grant = { firstHandle, handleCount: 1, epoch, lifeMs };
    return {
      source: mint.forOrder(log.local, { handle, epoch: chunk.epoch }, withinMs),
      target: mint.forGrant(log.local, grant),
    };
  });
}

function dutiesOf(master: Parts) {
  const { config, host, state, log, fleet, healing, orders, transcoding, tails, logger } = master;
  const { clock, random } = host;
  const newSecret = () => host.secret(TOKEN_SECRET_BYTES);
  const expiry = { ...config, intervalMs: config.sweepMs };
  const forget = { intervalMs: config.sweepMs, graceMs: config.releasedGraceMs };
  const parts = { log, clock, fleet, orders, logger };
  return [
    foundingDuty(log, freshClusterId(random)),
    tokenKeyDuty(log, clock, { everyMs: config.tokenKeyMs, newSecret }),
    grantExpiryDuty(log, clock, expiry),
    uploadExpiryDuty(log, clock, expiry),
    sessionExpiryDuty(log, clock, expiry),
    reapDuty(log),
    historySweepDuty(log),
    trashExpiryDuty(log, clock),
    fileExpiryDuty(log, clock, (path, work) => tails.gate.pass([path], work)),
    tailsDuty(tails.keeper),
    lockExpiryDuty(log, clock),
    forgetDuty(parts, forget),
    feedTrimDuty({ log, clock, applied: () => state.applied }, expiry),
    verifyDuty(parts),
    healingDuty({ ...parts, seen: healing }, healingLimitsOf(config)),
    conversionDuty({ ...parts, random, transcoding }, conversionLimitsOf(config)),
    stateCheckDuty(log, clock, config.checkStateMs),
  ];
}

function healingLimitsOf(config: MasterConfig) {
  const { repairAfterMs, failureDomain, healMovesPerServer, healBytesPerSecond } = config;
  const pace = { movesPerServer: healMovesPerServer, bytesPerSecond: healBytesPerSecond };
  const bounds = { movesMax: HEAL_MOVES_MAX, smallForOne: HEAL_SMALL_FOR_ONE };
  return { ...pace, ...bounds, repairAfterMs, failureDomain };
}

function conversionLimitsOf(config: MasterConfig) {
  const { repairAfterMs, failureDomain, convertPerServer, convertBytesPerSecond } = config;
  return {
    ...{ repairAfterMs, failureDomain, conversionsMax: CONVERSIONS_MAX },
    conversionsPerServer: convertPerServer,
    bytesPerSecond: convertBytesPerSecond,
    policyLookMs: config.convertLookMs,
    restMs: config.convertRestMs,
  };
}

/** Compares this master's state with those of the others, wherever the log says so. */
function checkerOf(parts: Parts, judged: (verdict: Verdict) => void): StateChecker {
  const { config, disk, consensus, state, channels, logger, onFatal } = parts;
  const { clock, timers } = parts.host;
  const { id: self, checkBytesPerSecond: bytesPerSecond } = config;
  const checker = new StateChecker(
    {
      ...{ self, clock, timers, judged, onFatal, hash: hashPieces },
      group: () => {
        const { current, reach } = consensus.group.memberships;
        return { voters: current, addresses: reach };
      },
      ask: (address, own) => askMaster(channels, address, own),
      quarantine: (why) => quarantine(disk, why),
      applied: () => state.applied,
      logger: logger.child({ component: "integrity" }),
    },
    { bytesPerSecond, ...CHECK_PATIENCE },
  );
  state.onCheck = (image) => checker.begin(image);
  return checker;
}

async function serve(
  parts: Parts,
  transport: RaftTransport,
  opening: ResourceStack,
): Promise<RpcListener> {
  const { config, consensus, state, log, reads, freeze, fleet, healing, channels, logger } = parts;
  const { clock, timers, random, network } = parts.host;
  const { mint, orders, tails } = parts;
  const { metrics, exposition } = await openMetrics(METRICS, {
    ofProcess: parts.host.hasProcess,
  });
  const room = new OperationRoom();
  const consensusMeter = new ConsensusMeter(metrics, { consensus, room, folder: config.dir });
  const healingMeter = new HealingMeter(metrics, healing, fleet);
  const stopMeter = consensusMeter.begin();
  opening.use({ close: async () => stopMeter() });
  if (config.admin !== undefined) {
    const admin = {
      ...splitAddress(config.admin),
      readiness: () => readinessOf(consensus),
      metrics: readFirst(exposition, () => {
        healingMeter.read(log.isLeading, log.local);
        return consensusMeter.read();
      }),
      logger,
    };
    opening.use(await AdminHttp.start(admin));
  }
  const { grantUsableMs, sessionIdleMs, failureDomain, clusterName } = config;
  const { heartbeatMs, deadMs, grantMs } = config;
  const { group } = consensus;
  const masters = masterDirectory(group);
  const limits = { grantUsableMs, sessionIdleMs, failureDomain, inline: inlineTermsOf(parts) };
  const operations = { log, reads, fleet, clock, random, mint, tails, ...limits };
  const meter = operationMeter(metrics, clock);
  const checker = opening.use(checkerOf(parts, checkMeter(metrics)));
  const feed = new ChangeFeed({ state, status: () => consensus.status, timers });
  return network.listen({ ...splitAddress(config.listen), callsMax: CALLS_MAX, logger }, [
    ...transport.methods,
    ...namespaceMethods({ ...operations, masters, timers, meter, room }),
    ...watchMethods(feed),
    ...auditMethods({
      ...{ replication: consensus, channels, log, fleet, clock, timers, freeze, orders },
      ...{ mint, keeper: tails.keeper, bytesPerSecondMax: config.backupBytesPerSecond },
    }),
    ...backupMethodsOf(parts),
    ...healingMethods({
      ...{ replication: consensus, channels, log, fleet, clock, orders, seen: healing },
      ...{ terms: config, self: config.id },
    }),
    ...integrityMethods({ log, checker }),
    ...chunkMethods({ log, fleet, clock, mint, keeper: tails.keeper }),
    ...tailMethodsOf(parts),
    ...fleetMethods({ log, fleet, clock, logger, heartbeatMs, deadMs, masters, grantMs }),
    ...masterAdminMethods({ group, replication: consensus, channels, timers, clusterName }),
    ...adminMethods({
      ...{ replication: consensus, seen: healing, terms: config },
      ...{ group, clusterName, store: consensus.store },
      log,
      fleet,
      clock,
      channels,
      memoryBytes: () => process.memoryUsage.rss(),
      processFacts: () => processFacts(config.dir),
      hashState: () => hashState(state),
    }),
  ]);
}

/** A file that the masters keep has as many copies as masters vote, now and when it is changed. */
function inlineTermsOf({ config, consensus }: Parts): InlineTerms {
  const voters = (): number => {
    const { voters: next, votersOutgoing: outgoing } = consensus.group.memberships.current;
    return outgoing.length === 0 ? next.length : Math.min(next.length, outgoing.length);
  };
  return { bytesMax: config.inlineBytes, totalBytesMax: config.inlineTotal, voters };
}

function tailMethodsOf({ log, fleet, host, tails, healing }: Parts): readonly RpcMethod[] {
  const { clock } = host;
  const onThinSeal = (): void => healing.lookAgain();
  return tailMethods({ log, fleet, clock, keeper: tails.keeper, onThinSeal });
}

/** What is being appended is no part of a backup before it is sealed. */
function backupMethodsOf({ config, host, tails, freeze }: Parts): readonly RpcMethod[] {
  const { clock, timers } = host;
  const sealAndFreeze = async (): Promise<FrozenState> => {
    await tails.keeper.sealAll("a backup is made", BACKUP_SEAL_MS);
    return freeze();
  };
  const bytesPerSecondMax = config.backupBytesPerSecond;
  return backupMethods({ freeze: sealAndFreeze, clock, timers, bytesPerSecondMax });
}

function readinessOf({ group, status: { leader } }: Consensus): Readiness {
  if (group.isRemoved) return { kind: "notReady", why: "the group has removed this master" };
  return leader === undefined ? { kind: "notReady", why: "no leader is known" } : { kind: "ready" };
}

function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}

const CLUSTER_ID_DIGITS = 32;

function freshClusterId(source: Random): string {
  const digit = (): string => Math.floor(source.fraction() * 16).toString(16);
  return Array.from({ length: CLUSTER_ID_DIGITS }, digit).join("");
}
