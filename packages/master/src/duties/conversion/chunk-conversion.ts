// One chunk's conversion, from the order to the command: a server makes the new chunk, others read
// every replica or unit of it again from the disk, and then it takes the place of the old one.
//
// O1. Nothing changes before all of it is durable and was read again.
// O2. Nothing is kept here: whatever ends it before the command leaves a grant. That is ended at
//     once, so that what was written becomes garbage; where that fails, it ends by itself.

import {
  asLumeoError,
  type ChunkCoding,
  type ChunkHandle,
  grantOf,
  InvariantViolation,
  LumeoError,
  type ServerId,
  serverId,
  wallMs,
} from "@lumeofs/base";
import type { ChunkRecord } from "../../metadata/chunk-table.js";
import type { SealedChunk } from "../../metadata/command.js";
import { FRESH_EPOCH } from "../../metadata/grants.js";
import type { JobId } from "../../metadata/jobs.js";
import { holdsNothing, memberContent } from "../../metadata/member-content.js";
import type { MetadataLog } from "../metadata-log.js";
import type { Holder, Orders } from "../orders.js";
import type { TranscodeOrder, Transcoding } from "./transcoding.js";

/** Whenever the grant was made. */
const ANY_TIME = wallMs(Number.MAX_SAFE_INTEGER);
/** Auditors that are asked for one replica or unit. */
const AUDITORS_MAX = 3;

export interface ConversionParts {
  readonly log: MetadataLog;
  readonly orders: Pick<Orders, "auditReplica">;
  readonly transcoding: Transcoding;
}

export interface ChunkConversion {
  readonly job: JobId;
  readonly worker: Holder;
  readonly order: TranscodeOrder;
}

export type ConversionOutcome =
  | { readonly kind: "converted"; readonly bad: readonly ServerId[] }
  /** No file has it any more, or the job has ended: nobody wants it. */
  | { readonly kind: "dropped"; readonly bad: readonly ServerId[] }
  | {
      readonly kind: "failed";
      readonly why: string;
      /** Servers whose copies were found bad on the way. */
      readonly bad: readonly ServerId[];
      /** Servers to which the next try does not go. */
      readonly avoid: readonly ServerId[];
    };

/** Carries it out. */
export async function convertChunk(
  parts: ConversionParts,
  conversion: ChunkConversion,
): Promise<ConversionOutcome> {
  const outcome = await attempt(parts, conversion);
  if (outcome.kind !== "converted") await giveBack(parts, conversion);
  return outcome;
}

/** O2. Of a command whose outcome is unknown, this one comes after it in the log, or not at all. */
async function giveBack({ log }: ConversionParts, { order }: ChunkConversion): Promise<void> {
  const grants = [grantOf(order.target.handle)];
  try {
    await log.change({ kind: "expireGrants", grants, unusedSince: ANY_TIME });
  } catch (error) {
    if (!(error instanceof LumeoError)) throw error; // another master leads, or none
  }
}

async function attempt(
  parts: ConversionParts,
  conversion: ChunkConversion,
): Promise<ConversionOutcome> {
  const { worker, order, job } = conversion;
  let bad: readonly ServerId[] = [];
  try {
    const made = await parts.transcoding.transcode(worker.server, order);
    bad = made.faults.filter((fault) => fault.isBad).map((fault) => fault.server);
    if (made.kind === "noSource") return { kind: "failed", why: made.why, bad, avoid: [] };
    const chunk = sealedOf(order, made.unitCrcs);
    const unproven = await audit(parts, conversion, chunk);
    if (unproven !== undefined) return { kind: "failed", bad, ...unproven };
    const { handle } = order.source;
    const reply = await parts.log.change({ kind: "replaceChunk", job, handle, chunk });
    if (reply.kind !== "refused") return { kind: "converted", bad };
    if (reply.code === "CONFLICT" || reply.code === "PRECONDITION") return { kind: "dropped", bad };
    return { kind: "failed", why: reply.message, bad, avoid: [] };
  } catch (error) {
    if (error instanceof InvariantViolation) throw error;
    const { message: why, details } = asLumeoError(error);
    return { kind: "failed", why, bad, avoid: (details.servers ?? []).map(serverId) };
  }
}

/** @returns What was not found intact, if anything. */
async function audit(
  { orders }: ConversionParts,
  { order, worker }: ChunkConversion,
  sealed: SealedChunk,
): Promise<{ readonly why: string; readonly avoid: readonly ServerId[] } | undefined> {
  const { bytesPerSecondMax, signal, target } = order;
  const record = recordOf(order, sealed);
  for (const [i, holder] of target.holders.entries()) {
    if (holdsNothing(record, holder.id)) continue;
    const content = memberContent(record, holder.id);
    const chunk = { handle: target.handle, epoch: target.epoch, ...content };
    let why = `nobody could read "${holder.server.name}"`;
    for (const auditor of auditorsOf(order, worker, i)) {
      const found = await orders
        .auditReplica(auditor.server, { chunk, holder, bytesPerSecondMax, signal })
        .catch((error: unknown) => {
          signal.throwIfAborted();
          if (!(error instanceof LumeoError)) throw error;
          return { kind: "unreached" as const, why: error.message };
        });
      if (found.kind === "intact") {
        why = "";
        break;
      }
      why = `"${holder.server.name}": ${found.why}`;
      if (found.kind !== "unreached") break;
    }
    if (why !== "") return { why, avoid: [holder.id] };
  }
  return undefined;
}

/** The one behind it, and others if that cannot be asked. Never itself. */
function auditorsOf(order: TranscodeOrder, worker: Holder, at: number): readonly Holder[] {
  const { holders } = order.target;
  const self = holders[at]?.id;
  const sources = order.source.holders.filter((holder) => holder !== undefined);
  const all = [...holders.slice(at + 1), ...holders.slice(0, at), worker, ...sources];
  const others = all.filter(({ id }, i) => {
    return id !== self && all.findIndex((one) => one.id === id) === i;
  });
  return others.slice(0, AUDITORS_MAX);
}

function sealedOf({ source, target }: TranscodeOrder, unitCrcs: readonly number[]): SealedChunk {
  const { lengthBytes, crc32c } = source.chunk;
  const { handle, epoch, code } = target;
  const coding: ChunkCoding | undefined = code === undefined ? undefined : { ...code, unitCrcs };
  return { handle, epoch, lengthBytes, crc32c, coding };
}

/** As the record of the new chunk is going to be. */
function recordOf(
  { target }: TranscodeOrder,
  { lengthBytes, crc32c, coding }: SealedChunk,
): Pick<ChunkRecord, "members" | "lengthBytes" | "crc32c" | "coding" | "isInline"> {
  const members = target.holders.map(({ id }) => id);
  return { members, lengthBytes, crc32c, coding, isInline: false };
}

/** What every chunk of a grant begins with. */
export function targetOf(
  handle: ChunkHandle,
  code: TranscodeOrder["target"]["code"],
  holders: readonly Holder[],
): TranscodeOrder["target"] {
  return { handle, epoch: FRESH_EPOCH, code, holders };
}
