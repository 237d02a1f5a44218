// Whether the masters have the same state: for operators, and between masters.

import { LumeoError, type NodeId } from "@lumeofs/base";
import { type RpcMethod, serveUnary, unary } from "@lumeofs/node/rpc";
import { IntegrityService, lumeo } from "@lumeofs/proto";
import type { MetadataLog } from "../duties/metadata-log.js";
import type { OwnResult, StateChecker } from "../integrity/state-checker.js";
import type { CheckResult, Verdict } from "../integrity/verdict.js";
import { type LogIndex, logIndex } from "../raft/entry.js";
import type { ChannelPool } from "./channel-pool.js";
import { decodeId } from "./field-wire.js";
import { decodeText } from "./wire.js";

const { CheckState, CheckVerdict } = lumeo.master.v1;

const NAME_LENGTH_MAX = 63;
const HASH_LENGTH_MAX = 64;
const ASK_TIMEOUT_MS = 2_000;

export function integrityMethods(parts: {
  readonly log: MetadataLog;
  readonly checker: StateChecker;
}): readonly RpcMethod[] {
  const { log, checker } = parts;
  return [
    serveUnary(IntegrityService.beginCheck, async () => ({ index: await begin(log, checker) })),
    serveUnary(IntegrityService.getCheck, async ({ index }) => {
      const report = checker.reportAt(indexOf(index));
      if (report === undefined) {
        throw new LumeoError("NOT_FOUND", `This master knows no check at entry ${index}`);
      }
      const masters = [...report.results].map(([id, result]) => ({ id, ...encodeResult(result) }));
      return { verdict: encodeVerdict(report.verdict), masters };
    }),
    serveUnary(IntegrityService.compareCheck, async (request) => {
      const index = indexOf(request.index);
      const from = decodeText(request.from, "master", NAME_LENGTH_MAX) as NodeId;
      checker.learn({ index, from, hex: decodeText(request.hash, "hash", HASH_LENGTH_MAX) });
      return encodeResult(checker.resultAt(index));
    }),
  ];
}

/** Asks one other master over gRPC; throws if it does not answer. */
export async function askMaster(
  channels: ChannelPool,
  address: string,
  { index, from, hex }: OwnResult,
): Promise<CheckResult> {
  const request = { index, from, hash: hex };
  const options = { timeoutMs: ASK_TIMEOUT_MS };
  const answer = await unary(channels.to(address), IntegrityService.compareCheck, request, options);
  if (answer.state === CheckState.CHECK_STATE_PENDING) return { kind: "pending" };
  const isDone = answer.state === CheckState.CHECK_STATE_DONE;
  return isDone ? { kind: "hash", hex: answer.hash ?? "" } : { kind: "unknown" };
}

/** Any check that begins after the call will do. */
async function begin(log: MetadataLog, checker: StateChecker): Promise<LogIndex> {
  log.checkLeading();
  if (checker.isBusy) {
    throw new LumeoError("OVERLOADED", "Cannot check the states: a check is under way. Try again");
  }
  const before = checker.latest;
  await log.change({ kind: "checkState" });
  const index = checker.latest;
  if (index !== undefined && index !== before) return index;
  throw new LumeoError("UNAVAILABLE", "Cannot check the states: this master has not begun to");
}

function indexOf(value: number | null | undefined): LogIndex {
  return logIndex(decodeId(value, "index"));
}

function encodeResult(result: CheckResult): lumeo.master.v1.ICompareCheckResponse {
  switch (result.kind) {
    case "hash":
      return { state: CheckState.CHECK_STATE_DONE, hash: result.hex };
    case "pending":
      return { state: CheckState.CHECK_STATE_PENDING };
    case "unknown":
      return { state: CheckState.CHECK_STATE_UNKNOWN };
  }
}

function encodeVerdict(verdict: Verdict): lumeo.master.v1.CheckVerdict {
  switch (verdict.kind) {
    case "pending":
      return CheckVerdict.CHECK_VERDICT_PENDING;
    case "passed":
      return CheckVerdict.CHECK_VERDICT_PASSED;
    case "minority":
      return CheckVerdict.CHECK_VERDICT_MINORITY;
    case "noMajority":
      return CheckVerdict.CHECK_VERDICT_NO_MAJORITY;
    case "incomplete":
      return CheckVerdict.CHECK_VERDICT_INCOMPLETE;
  }
}
