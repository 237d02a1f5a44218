// The service for audits: proto ⇄ the SDK's words.

import { asLumeoError, LumeoError, type ReplicaStanding } from "@lumeofs/base";
import { download } from "@lumeofs/node/rpc";
import { AuditService, HealingService, lumeo } from "@lumeofs/proto";
import { contentAt } from "../coding/replica-content.js";
import type { NameFault } from "../fsck/finding.js";
import type {
  AuditedChunk,
  ChunksPage,
  CopyReading,
  HeldReplicas,
  ReplicaFacts,
} from "../fsck/source.js";
import type { AdminClient, UnaryOptions } from "./admin-client.js";
import { decodeCoding } from "./coding-wire.js";
import { decodeVerdict } from "./healing-client.js";
import type { MasterPool } from "./master-pool.js";
import { decodeGrowingPage, type GrowingChunk } from "./tail-wire.js";
import { broken, positive } from "./wire-fields.js";

const Wire = lumeo.master.v1;

const FAULTS: ReadonlyMap<lumeo.master.v1.NameFault, NameFault> = new Map([
  [Wire.NameFault.NAME_FAULT_DANGLING, "dangling"],
  [Wire.NameFault.NAME_FAULT_REFERENCE_COUNT, "referenceCount"],
  [Wire.NameFault.NAME_FAULT_CHUNK_LIST, "chunkList"],
  [Wire.NameFault.NAME_FAULT_CHUNK_RECORD, "chunkRecord"],
  [Wire.NameFault.NAME_FAULT_UNREFERENCED, "unreferenced"],
  [Wire.NameFault.NAME_FAULT_DIRECTORY, "directory"],
  [Wire.NameFault.NAME_FAULT_INLINE_BYTES, "inlineBytes"],
]);
const STANDINGS: ReadonlyMap<lumeo.master.v1.ReplicaStanding, ReplicaStanding> = new Map([
  [Wire.ReplicaStanding.REPLICA_STANDING_MEMBER, "member"],
  [Wire.ReplicaStanding.REPLICA_STANDING_MOVE_TARGET, "moveTarget"],
  [Wire.ReplicaStanding.REPLICA_STANDING_RELEASED, "released"],
  [Wire.ReplicaStanding.REPLICA_STANDING_GRANTED, "granted"],
  [Wire.ReplicaStanding.REPLICA_STANDING_KEPT, "kept"],
  [Wire.ReplicaStanding.REPLICA_STANDING_OF_LOST_TIME, "ofLostTime"],
  [Wire.ReplicaStanding.REPLICA_STANDING_GARBAGE, "garbage"],
  [Wire.ReplicaStanding.REPLICA_STANDING_NEWER, "newer"],
  [Wire.ReplicaStanding.REPLICA_STANDING_STALE, "stale"],
]);

/** What the masters find in their own metadata, as it comes. */
export interface NamesReport {
  readonly records: number;
  readonly files: number;
  readonly chunks: number;
  readonly findings: readonly {
    readonly fault: NameFault;
    readonly path: string;
    readonly handle: number;
    readonly what: string;
  }[];
}

export class AuditClient {
  readonly #masters: MasterPool;
  readonly #admin: AdminClient;

  constructor(masters: MasterPool, admin: AdminClient) {
    this.#masters = masters;
    this.#admin = admin;
  }

  /** Followers are asked first, to spare the leader. @throws LumeoError of the last one asked. */
  async *names(signal: AbortSignal): AsyncGenerator<NamesReport, void, undefined> {
    let isDone = false;
    const messages = (address: string) =>
      download(this.#masters.channel(address), AuditService.auditNames, {}, { signal });
    for await (const message of this.#fromAny(messages)) {
      isDone = message.done ?? false;
      yield {
        records: message.records ?? 0,
        files: message.files ?? 0,
        chunks: message.chunks ?? 0,
        findings: (message.findings ?? []).map(decodeFinding),
      };
    }
    if (!isDone) throw new LumeoError("CONNECTION_LOST", "The audit of the names broke off");
  }

  /** Paths of contents, as far as they are found. */
  async places(
    contents: readonly number[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<number, string>> {
    const paths = new Map<number, string>();
    const request = { contents: [...contents] };
    const messages = (address: string) =>
      download(this.#masters.channel(address), AuditService.findContents, request, { signal });
    for await (const { places } of this.#fromAny(messages)) {
      for (const { content, path } of places ?? []) paths.set(content ?? 0, path ?? "");
    }
    return paths;
  }

  /** A page of all chunks, or the chunks that are named. */
  async chunks(
    window:
      | { readonly after: number; readonly limit: number }
      | { readonly handles: readonly number[] },
    options: UnaryOptions,
  ): Promise<ChunksPage> {
    const which = "handles" in window ? { handles: [...window.handles] } : window;
    const request = { ...which, filter: Wire.ChunkFilter.CHUNK_FILTER_ALL };
    const answer = await this.#admin.askAny(HealingService.listChunks, request, options);
    const chunks = (answer.chunks ?? []).map(decodeChunk);
    return { chunks, next: answer.next ?? 0, grantedUpto: answer.grantedUpto || Infinity };
  }

  async replicas(
    window: { readonly serverId: number; readonly after: number; readonly limit: number },
    options: UnaryOptions,
  ): Promise<readonly ReplicaFacts[]> {
    const answer = await this.#admin.askAny(AuditService.listReplicas, { ...window }, options);
    return (answer.replicas ?? []).map(decodeFacts);
  }

  /** What a server has of some chunks. */
  async held(
    serverId: number,
    handles: readonly number[],
    options: UnaryOptions,
  ): Promise<HeldReplicas> {
    const request = { serverId, handles: [...handles] };
    const answer = await this.#admin.askAny(AuditService.listReplicas, request, options);
    const { begun, whole, sinceWholeMs, roundMs } = answer.rounds ?? {};
    return {
      replicas: new Map((answer.replicas ?? []).map(decodeFacts).map((one) => [one.handle, one])),
      rounds: {
        begun: begun ?? 0,
        whole: whole ?? 0,
        sinceWholeMs: sinceWholeMs ?? 0,
        roundMs: roundMs ?? 0,
      },
    };
  }

  /** Has all copies of some chunks read from their disks. */
  async read(
    handles: readonly number[],
    options: UnaryOptions,
  ): Promise<ReadonlyMap<number, readonly CopyReading[]>> {
    const request = { handles: [...handles] };
    const answer = await this.#admin.askAny(HealingService.verifyChunks, request, options);
    return new Map(
      (answer.chunks ?? []).map(({ handle, copies }) => [
        positive(handle, "chunk handle"),
        (copies ?? []).map(decodeVerdict).map(({ serverId, node, finding, why }) => {
          return { id: serverId, name: node, finding, why };
        }),
      ]),
    );
  }

  /** Chunks that grow, by rising handles. */
  async tails(
    window: { readonly after: number; readonly limit: number },
    options: UnaryOptions,
  ): Promise<readonly GrowingChunk[]> {
    const answer = await this.#admin.askAny(AuditService.listTails, { ...window }, options);
    return decodeGrowingPage(answer);
  }

  async judge(
    serverId: number,
    replicas: readonly ReplicaFacts[],
    options: UnaryOptions,
  ): Promise<readonly ReplicaStanding[]> {
    const request = { serverId, replicas: replicas.map((facts) => ({ ...facts })) };
    const answer = await this.#admin.askAny(AuditService.judgeReplicas, request, options);
    return (answer.standings ?? []).map((standing) => {
      const known = STANDINGS.get(standing);
      if (known !== undefined) return known;
      throw broken("a replica with an unknown standing");
    });
  }

  /** Messages of the first master that gives any; one that breaks off later ends it. */
  async *#fromAny<T>(
    messages: (address: string) => AsyncIterable<T>,
  ): AsyncGenerator<T, void, undefined> {
    const { endpoints, leader } = this.#masters;
    const followers = endpoints.filter((address) => address !== leader);
    let failure = new LumeoError("UNAVAILABLE", "no master is known");
    for (const address of [...followers, ...(leader === undefined ? [] : [leader])]) {
      let hasBegun = false;
      try {
        for await (const message of messages(address)) {
          hasBegun = true;
          yield message;
        }
        return;
      } catch (thrown) {
        failure = asLumeoError(thrown);
        if (hasBegun || !failure.retryable) throw failure;
      }
    }
    throw failure;
  }
}

function decodeFinding(wire: lumeo.master.v1.INameFinding): NamesReport["findings"][number] {
  const fault = wire.fault == null ? undefined : FAULTS.get(wire.fault);
  if (fault === undefined) throw broken("a finding of an unknown kind");
  return { fault, path: wire.path ?? "", handle: wire.handle ?? 0, what: wire.what ?? "" };
}

function decodeFacts(facts: lumeo.common.v1.IReplicaFacts): ReplicaFacts {
  return {
    handle: positive(facts.handle, "chunk handle"),
    epoch: positive(facts.epoch, "epoch"),
    lengthBytes: facts.lengthBytes ?? 0,
    crc32c: facts.crc32c ?? 0,
    damaged: facts.damaged ?? false,
  };
}

function decodeChunk(state: lumeo.master.v1.IChunkState): AuditedChunk {
  const { chunk, replicas } = state.chunk ?? {};
  const coding = chunk?.coding == null ? undefined : decodeCoding(chunk.coding);
  const lengthBytes = chunk?.lengthBytes ?? 0;
  const data = { lengthBytes, crc32c: chunk?.crc32c ?? 0, coding };
  return {
    handle: positive(chunk?.handle, "chunk handle"),
    epoch: positive(chunk?.epoch, "epoch"),
    lengthBytes,
    content: state.content ?? 0,
    isReleased: state.orphan ?? false,
    inlineFault: state.chunk?.inline ? (state.inlineFault ?? "") : undefined,
    members: (replicas ?? []).map(({ serverId, name }, position) => {
      const id = positive(serverId, "server id");
      return { id, name: name ?? "", ...contentAt(data, position) };
    }),
  };
}
