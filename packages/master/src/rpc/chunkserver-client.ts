// Orders over gRPC to the control services of chunkservers.

import {
  asLumeoError,
  type ChunkHandle,
  type GrantId,
  LumeoError,
  SMALL_CHUNK_BYTES_MAX,
  serverId,
} from "@lumeofs/base";
import { decodeErrorDetail, unary } from "@lumeofs/node/rpc";
import { ControlService, lumeo } from "@lumeofs/proto";
import type {
  AuditOrder,
  AuditOutcome,
  CopyOrder,
  CopyOutcome,
  Holder,
  Orders,
  Rebuild,
  ReplicaName,
  SealedReplica,
  SourceFault,
  Verdict,
  VerifyOrder,
} from "../duties/orders.js";
import type { Server } from "../metadata/servers.js";
import type { ChannelPool } from "./channel-pool.js";
import { OrderBatches } from "./order-batches.js";
import { decodeHandle } from "./wire.js";

const DELETE_TIMEOUT_MS = 10_000;
const LIST_TIMEOUT_MS = 5_000;
const CLOSE_TIMEOUT_MS = 5_000;
/** A whole chunk is read from a disk that has other things to do. */
const VERIFY_TIMEOUT_MS = 30_000;
/** A whole chunk also crosses the network, and other copies share the limit. */
const COPY_TIMEOUT_MS = 120_000;
/** How many copies may share a limit before one of them runs out of time. */
const COPIES_SHARING = 8;

/** A token to read a replica, for an order that takes at most so long. */
export type TokenForOrder = (chunk: ReplicaName, withinMs: number) => Uint8Array;

/** See the head of this file. */
export class ChunkserverClient implements Orders {
  readonly #channels: ChannelPool;
  readonly #tokenFor: TokenForOrder;
  readonly #copies = new OrderBatches<CopyOrder, CopyOutcome>((target, orders, signal) =>
    this.#copyAll(target, orders, signal),
  );
  readonly #verifications = new OrderBatches<VerifyOrder, Verdict>((server, orders, signal) =>
    this.#verifyAll(server, orders, signal),
  );
  readonly #audits = new OrderBatches<AuditOrder, AuditOutcome>((auditor, orders, signal) =>
    this.#auditAll(auditor, orders, signal),
  );

  /** @param tokenFor  What the servers show each other when they obey an order. */
  constructor(channels: ChannelPool, tokenFor: TokenForOrder) {
    this.#channels = channels;
    this.#tokenFor = tokenFor;
  }

  async deleteReplicas(
    server: Server,
    replicas: readonly ReplicaName[],
  ): Promise<readonly ChunkHandle[]> {
    const channel = this.#channels.to(server.controlAddress);
    const named = replicas.map(({ handle, epoch }) => ({ handle, epoch }));
    const request = { storeUuid: server.storeUuid, replicas: named };
    const options = { timeoutMs: DELETE_TIMEOUT_MS };
    const answer = await unary(channel, ControlService.deleteReplicas, request, options);
    return (answer.refusedHandles ?? []).map(decodeHandle);
  }

  /**
   * What a server itself says that it has, for audits: some chunks, or a page if none are named.
   *
   * @throws LumeoError CONFLICT if another store answers there.
   */
  async listReplicas(
    server: Server,
    window: { readonly after: number; readonly limit: number; readonly handles: number[] },
  ): Promise<lumeo.chunkserver.v1.IListReplicasResponse> {
    const channel = this.#channels.to(server.controlAddress);
    const options = { timeoutMs: LIST_TIMEOUT_MS };
    const answer = await unary(channel, ControlService.listReplicas, window, options);
    if (answer.storeUuid === server.storeUuid) return answer;
    const message = `Cannot list what ${server.name} has: another store answers for it`;
    throw new LumeoError("CONFLICT", message);
  }

  async closeGrants(server: Server, grants: readonly GrantId[]): Promise<readonly ChunkHandle[]> {
    const channel = this.#channels.to(server.controlAddress);
    const request = { storeUuid: server.storeUuid, grants: [...grants] };
    const options = { timeoutMs: CLOSE_TIMEOUT_MS };
    const answer = await unary(channel, ControlService.closeGrants, request, options);
    return (answer.usedHandles ?? []).map(decodeHandle);
  }

  async verifyReplica(server: Server, order: VerifyOrder): Promise<Verdict> {
    const { handle, lengthBytes } = order;
    try {
      if (lengthBytes !== undefined && lengthBytes <= SMALL_CHUNK_BYTES_MAX) {
        return await this.#verifications.add(server, order);
      }
      const channel = this.#channels.to(server.controlAddress);
      const options = { timeoutMs: VERIFY_TIMEOUT_MS };
      return decodeVerdict(await unary(channel, ControlService.verifyReplica, { handle }, options));
    } catch (thrown) {
      const error = asLumeoError(thrown);
      if (error.code === "REPLICA_MISSING") return { kind: "bad", why: error.message };
      throw error;
    }
  }

  async copyReplica(target: Server, order: CopyOrder): Promise<CopyOutcome> {
    if (order.chunk.lengthBytes <= SMALL_CHUNK_BYTES_MAX) return this.#copies.add(target, order);
    const channel = this.#channels.to(target.controlAddress);
    const request = this.#copyRequest(target, order);
    const options = { timeoutMs: timeoutMs([order]), signal: order.signal };
    const answer = await unary(channel, ControlService.copyReplica, request, options);
    return decodeCopy(answer);
  }

  async auditReplica(auditor: Server, order: AuditOrder): Promise<AuditOutcome> {
    if (order.chunk.lengthBytes <= SMALL_CHUNK_BYTES_MAX) return this.#audits.add(auditor, order);
    const channel = this.#channels.to(auditor.controlAddress);
    const options = { timeoutMs: timeoutMs([order]), signal: order.signal };
    const request = this.#auditRequest(order);
    const answer = await unary(channel, ControlService.auditReplica, request, options);
    return decodeAudit(answer);
  }

  async #copyAll(
    target: Server,
    orders: readonly CopyOrder[],
    signal: AbortSignal,
  ): Promise<readonly (CopyOutcome | LumeoError)[]> {
    const channel = this.#channels.to(target.controlAddress);
    const copies = orders.map((order) => this.#copyRequest(target, order));
    const options = { timeoutMs: timeoutMs(orders), signal };
    const answer = await unary(channel, ControlService.copyReplicas, { copies }, options);
    return (answer.results ?? []).map(({ copied, error }) =>
      error == null ? decodeCopy(copied ?? {}) : decodeErrorDetail(error),
    );
  }

  async #auditAll(
    auditor: Server,
    orders: readonly AuditOrder[],
    signal: AbortSignal,
  ): Promise<readonly (AuditOutcome | LumeoError)[]> {
    const channel = this.#channels.to(auditor.controlAddress);
    const audits = orders.map((order) => this.#auditRequest(order));
    const options = { timeoutMs: timeoutMs(orders), signal };
    const answer = await unary(channel, ControlService.auditReplicas, { audits }, options);
    return (answer.results ?? []).map(({ audited, error }) =>
      error == null ? decodeAudit(audited ?? {}) : decodeErrorDetail(error),
    );
  }

  async #verifyAll(
    server: Server,
    orders: readonly VerifyOrder[],
    signal: AbortSignal,
  ): Promise<readonly (Verdict | LumeoError)[]> {
    const channel = this.#channels.to(server.controlAddress);
    const request = { handles: orders.map(({ handle }) => handle) };
    const options = { timeoutMs: VERIFY_TIMEOUT_MS, signal };
    const answer = await unary(channel, ControlService.verifyReplicas, request, options);
    return (answer.results ?? []).map(({ verified, error }) =>
      error == null ? decodeVerdict(verified ?? {}) : decodeErrorDetail(error),
    );
  }

  #copyRequest(target: Server, order: CopyOrder): lumeo.chunkserver.v1.ICopyReplicaRequest {
    return {
      storeUuid: target.storeUuid,
      chunk: chunkRef(order.chunk),
      sources: order.sources.map(holder),
      bytesPerSecondMax: order.bytesPerSecondMax,
      token: this.#tokenFor(order.chunk, timeoutMs([order])),
      isUnit: order.isUnit,
      mandate: order.mandate,
      ...(order.rebuild === undefined ? {} : { rebuild: encodeRebuild(order.rebuild) }),
    };
  }

  #auditRequest(order: AuditOrder): lumeo.chunkserver.v1.IAuditReplicaRequest {
    return {
      chunk: chunkRef(order.chunk),
      holder: holder(order.holder),
      bytesPerSecondMax: order.bytesPerSecondMax,
      token: this.#tokenFor(order.chunk, timeoutMs([order])),
    };
  }
}

function chunkRef({ handle, epoch, lengthBytes, crc32c }: SealedReplica) {
  return { handle, epoch, lengthBytes, crc32c };
}

function holder({ id, server }: Holder) {
  return { serverId: id, dataAddress: server.dataAddress };
}

function encodeRebuild({ sources, ...which }: Rebuild): lumeo.chunkserver.v1.IUnitRebuild {
  return {
    ...which,
    sources: sources.map(({ holder: from, ...source }) => ({
      ...source,
      ...(from === undefined ? {} : { holder: holder(from) }),
    })),
  };
}

interface Paced {
  readonly chunk: SealedReplica;
  readonly bytesPerSecondMax: number;
  readonly rebuild?: Rebuild | undefined;
}

/** For all of these together. A unit is made of so many others of its length. */
function timeoutMs(orders: readonly Paced[]): number {
  const seconds = orders.map(({ chunk, bytesPerSecondMax, rebuild }) => {
    if (bytesPerSecondMax === 0) return 0;
    return (COPIES_SHARING * chunk.lengthBytes * (rebuild?.data ?? 1)) / bytesPerSecondMax;
  });
  return COPY_TIMEOUT_MS + Math.ceil(seconds.reduce((sum, one) => sum + one, 0) * 1_000);
}

function decodeCopy(answer: lumeo.chunkserver.v1.ICopyReplicaResponse): CopyOutcome {
  const { CopyOutcome: Wire } = lumeo.chunkserver.v1;
  const why = answer.why ?? "";
  const faults = (answer.faults ?? []).map(decodeFault);
  switch (answer.outcome) {
    case Wire.COPY_OUTCOME_COPIED:
      return { kind: "copied", readBytes: answer.readBytes ?? 0, faults };
    case Wire.COPY_OUTCOME_HERE:
      return { kind: "here" };
    case Wire.COPY_OUTCOME_NO_SOURCE:
      return { kind: "noSource", why, faults };
    case Wire.COPY_OUTCOME_TWO_HISTORIES:
      return { kind: "twoHistories", why };
    default:
      throw new LumeoError("PROTOCOL", "A chunkserver answered a copy with no outcome");
  }
}

function decodeFault(wire: lumeo.chunkserver.v1.ISourceFault): SourceFault {
  return { server: serverId(wire.serverId ?? 0), isBad: wire.bad ?? false, why: wire.why ?? "" };
}

function decodeVerdict(answer: lumeo.chunkserver.v1.IVerifyReplicaResponse): Verdict {
  if (!answer.intact) return { kind: "bad", why: answer.damage ?? "" };
  const { lengthBytes, crc32c } = answer;
  return { kind: "intact", lengthBytes: lengthBytes ?? 0, crc32c: crc32c ?? 0 };
}

function decodeAudit(answer: lumeo.chunkserver.v1.IAuditReplicaResponse): AuditOutcome {
  const { AuditVerdict: Wire } = lumeo.chunkserver.v1;
  const why = answer.why ?? "";
  switch (answer.verdict) {
    case Wire.AUDIT_VERDICT_INTACT:
      return { kind: "intact", readBytes: answer.readBytes ?? 0 };
    case Wire.AUDIT_VERDICT_BAD:
      return { kind: "bad", why };
    case Wire.AUDIT_VERDICT_UNREACHED:
      return { kind: "unreached", why };
    case Wire.AUDIT_VERDICT_TWO_HISTORIES:
      return { kind: "twoHistories", why };
    default:
      throw new LumeoError("PROTOCOL", "A chunkserver answered an audit with no verdict");
  }
}
