// Masters of growing chunks in this process: the records of chunk-authority.ts, without consensus.

import {
  activateEpoch,
  type ChunkAuthority,
  type ChunkHandle,
  createAuthority,
  type EpochGrant,
  grantEpoch,
  invariant,
  LumeoError,
  type SealedContent,
  type ServerId,
  sealChunk,
} from "@lumeofs/base";
import type { ReportAnswer, TailEpoch, TailMasters } from "../../src/tail/tail-masters.js";
import type { TailReport } from "../../src/tail/tail-store.js";
import type { Replica } from "../replicas.js";

export interface Ended extends TailEpoch {
  readonly why: string;
}

/** What became of a sealed chunk at the masters. */
export interface SealedChunk extends SealedContent {
  readonly chunkEpoch: number;
}

export class FakeMasters implements TailMasters {
  readonly authorities = new Map<ChunkHandle, ChunkAuthority>();
  readonly sealed = new Map<ChunkHandle, SealedChunk>();
  readonly ended: Ended[] = [];
  /** Members of sealed chunks that may lack them. */
  readonly doubted: ServerId[] = [];
  readonly reported: TailReport[] = [];
  /** While false, every call fails as if there were no leader. */
  isReachable = true;
  /** While false, nobody gets a lease. */
  givesLeases = true;
  answer: ReportAnswer = { garbage: [], superfluous: [], sealed: [], newest: [] };

  /** Allocates a chunk and has its primary begin. */
  open(handle: ChunkHandle, members: readonly Replica[]): void {
    this.authorities.set(handle, createAuthority(members.map(({ id }) => id)));
    this.order(handle, members);
  }

  /** Grants the next epoch and orders its primary, the first of the members, to begin. */
  grant(handle: ChunkHandle, members: readonly Replica[], all: readonly Replica[]): EpochGrant {
    const next = grantEpoch(this.#authority(handle), {
      primary: members[0]?.id ?? (0 as never),
      members: members.map(({ id }) => id),
    });
    invariant(next.kind === "done", "the chunk still grows");
    this.authorities.set(handle, next.authority);
    this.order(handle, all);
    return next.authority.newest;
  }

  /** Says the newest grant again; whether the primary takes it. */
  order(handle: ChunkHandle, servers: readonly Replica[]): "begun" | "ended" {
    const grant = this.#authority(handle).newest;
    const primary = servers.find(({ id }) => id === grant.primary);
    invariant(primary !== undefined, "the primary is among the servers");
    const members = new Map(servers.map(({ id, link }) => [id, link]));
    return primary.tails.primaries.begin({ handle, grant, members, token: undefined });
  }

  async doubt(_: ChunkHandle, server: ServerId): Promise<void> {
    this.#check();
    this.doubted.push(server);
  }

  async activateEpoch({ handle, epoch }: TailEpoch) {
    this.#check();
    const answer = activateEpoch(this.#authority(handle), epoch);
    if (answer.kind === "refused") return "over" as const;
    this.authorities.set(handle, answer.authority);
    return "done" as const;
  }

  async recordSeal({ handle, epoch }: TailEpoch, content: SealedContent, chunkEpoch: number) {
    this.#check();
    const answer = sealChunk(this.#authority(handle), epoch, content);
    if (answer.kind === "refused") return "over" as const;
    this.authorities.set(handle, answer.authority);
    this.sealed.set(handle, { ...content, chunkEpoch });
    return "done" as const;
  }

  async renewLeases(tails: readonly (TailEpoch & { readonly wantsLease: boolean })[]) {
    this.#check();
    return tails.map(({ handle, epoch, wantsLease }) => {
      const isNewest = this.#authority(handle).newest.epoch === epoch;
      const isGranted = isNewest && wantsLease && this.givesLeases;
      return { outcome: isNewest ? ("done" as const) : ("over" as const), isGranted };
    });
  }

  async releaseLeases() {
    this.#check();
  }

  async endEpoch(tail: TailEpoch, why: string) {
    this.#check();
    this.ended.push({ ...tail, why });
  }

  async reportTails(tails: readonly TailReport[]): Promise<ReportAnswer> {
    this.#check();
    this.reported.push(...tails);
    const newest = tails.flatMap(({ handle, isInDoubt }) => {
      return isInDoubt ? [{ handle, epoch: this.#authority(handle).newest.epoch }] : [];
    });
    return { ...this.answer, newest };
  }

  #authority(handle: ChunkHandle): ChunkAuthority {
    const authority = this.authorities.get(handle);
    if (authority === undefined) throw new LumeoError("NOT_FOUND", `No chunk ${handle}`);
    return authority;
  }

  #check(): void {
    if (!this.isReachable) throw new LumeoError("NO_LEADER", "There is no leader now");
  }
}
