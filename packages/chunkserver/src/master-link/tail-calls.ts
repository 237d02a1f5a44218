// The masters' TailService as the tails of this server see it: calls to whichever master is the
// leader that the link is registered with.

import {
  type ChunkHandle,
  chunkHandle,
  type Epoch,
  epoch,
  LumeoError,
  type SealedContent,
  type ServerId,
} from "@lumeofs/base";
import { type MethodDefinition, type RpcChannel, unary } from "@lumeofs/node/rpc";
import { ChunkService, lumeo, TailService } from "@lumeofs/proto";
import type {
  LeaseAnswer,
  ReportAnswer,
  TailEpoch,
  TailMasters,
  TailOutcome,
  TailProgress,
} from "../tail/tail-masters.js";
import type { TailReport } from "../tail/tail-store.js";

const TIMEOUT_MS = 3_000;

export interface TailCallsPorts {
  /** To the leader; undefined while there is none. */
  readonly leader: () => RpcChannel | undefined;
  /** Who asks. */
  readonly caller: () => { readonly serverId: number; readonly storeUuid: string };
}

/** See the head of this file. */
export class TailCalls implements TailMasters {
  readonly #ports: TailCallsPorts;

  constructor(ports: TailCallsPorts) {
    this.#ports = ports;
  }

  async activateEpoch({ handle, epoch: number }: TailEpoch): Promise<TailOutcome> {
    const answer = await this.#call(TailService.activateEpoch, { handle, epoch: number });
    return decodeOutcome(answer.outcome);
  }

  async recordSeal(
    { handle, epoch: number }: TailEpoch,
    { lengthBytes, crc32c }: SealedContent,
    chunkEpoch: Epoch,
  ): Promise<TailOutcome> {
    const content = { lengthBytes, crc32c, chunkEpoch };
    const answer = await this.#call(TailService.recordSeal, { handle, epoch: number, ...content });
    return decodeOutcome(answer.outcome);
  }

  async renewLeases(tails: readonly TailProgress[]): Promise<readonly LeaseAnswer[]> {
    const asked = tails.map(({ handle, epoch: number, committedBytes, wantsLease }) => {
      return { handle, epoch: number, committedBytes, lease: wantsLease };
    });
    const answer = await this.#call(TailService.renewLeases, { tails: asked });
    return (answer.tails ?? []).map(({ outcome, granted }) => {
      // What is sealed was sealed by this primary, which hears of it by its own call.
      const isSealed = outcome === lumeo.master.v1.TailOutcome.TAIL_OUTCOME_SEALED;
      const isOver = !isSealed && decodeOutcome(outcome) === "over";
      return { outcome: isOver ? "over" : "done", isGranted: granted === true };
    });
  }

  async releaseLeases(tails: readonly TailEpoch[]): Promise<void> {
    await this.#call(TailService.releaseLeases, { tails: [...tails] });
  }

  async doubt(handle: ChunkHandle, serverId: ServerId): Promise<void> {
    await this.#call(ChunkService.reportDamage, { handle, serverId });
  }

  async endEpoch({ handle, epoch: number }: TailEpoch, why: string): Promise<void> {
    await this.#call(TailService.endEpoch, { handle, epoch: number, why });
  }

  async reportTails(tails: readonly TailReport[]): Promise<ReportAnswer> {
    const held = tails.map(({ handle, promised, isRemoved, isInDoubt }) => {
      return { handle, epoch: promised, removed: isRemoved, inDoubt: isInDoubt };
    });
    const answer = await this.#call(TailService.reportTails, { tails: held });
    return {
      garbage: (answer.garbageHandles ?? []).map(decodeHandle),
      superfluous: (answer.superfluous ?? []).map(decodeTail),
      sealed: (answer.sealed ?? []).map(({ handle, chunkEpoch }) => {
        return decodeTail({ handle: handle ?? 0, epoch: chunkEpoch ?? 0 });
      }),
      newest: (answer.newest ?? []).map(decodeTail),
    };
  }

  async #call<Q extends object, A>(method: MethodDefinition<Q, A>, request: Q): Promise<A> {
    const leader = this.#ports.leader();
    if (leader === undefined) {
      throw new LumeoError("NO_LEADER", "Cannot ask the masters: no leader is known now");
    }
    const asked = { ...request, caller: this.#ports.caller() };
    return unary(leader, method, asked, { timeoutMs: TIMEOUT_MS });
  }
}

function decodeOutcome(outcome: lumeo.master.v1.TailOutcome | null | undefined): TailOutcome {
  const { TailOutcome: Outcomes } = lumeo.master.v1;
  switch (outcome) {
    case Outcomes.TAIL_OUTCOME_DONE:
      return "done";
    case Outcomes.TAIL_OUTCOME_STALE:
    case Outcomes.TAIL_OUTCOME_SEALED:
    case Outcomes.TAIL_OUTCOME_GONE:
      return "over";
    default:
      throw new LumeoError("PROTOCOL", `Cannot go on: the masters answered outcome ${outcome}`);
  }
}

function decodeTail(tail: lumeo.master.v1.ITailEpoch): TailEpoch {
  const number = tail.epoch ?? 0;
  if (Number.isSafeInteger(number) && 0 < number) {
    return { handle: decodeHandle(tail.handle ?? 0), epoch: epoch(number) };
  }
  throw new LumeoError("PROTOCOL", `Cannot go on: the masters named epoch ${number}`);
}

function decodeHandle(handle: number): ChunkHandle {
  if (Number.isSafeInteger(handle) && 0 < handle) return chunkHandle(handle);
  throw new LumeoError("PROTOCOL", `Cannot go on: the masters named chunk ${handle}`);
}
