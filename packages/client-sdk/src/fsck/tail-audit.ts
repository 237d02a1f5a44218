// The growing chunks of a check: whether each can go on, and whether its members have what is
// committed. What is found bad is found by its server, too, which tells the masters.

import { LumeoError as InternalError } from "@lumeofs/base";
import type { RunCall } from "../metadata-runner.js";
import type { CallOptions } from "../options.js";
import type { AuditClient } from "../rpc/audit-client.js";
import type { GrowingChunk } from "../rpc/tail-wire.js";
import { type FsckEvent, type FsckFinding, type TailFault, wayOut } from "./finding.js";
import { checkTail, type TailCheckParts, type TailCopy } from "./verify-tail.js";

const STEP = { idempotent: true, limitMs: () => Infinity } as const;
const PAGE = 500;
/** Growing chunks that are asked about at once. */
const AT_ONCE = 16;

export interface TailAuditParts {
  readonly run: RunCall;
  readonly client: Pick<AuditClient, "tails">;
  readonly tails: TailCheckParts;
}

export interface TailAuditOptions {
  readonly call: CallOptions;
  /** Only those of files at this path and below. */
  readonly path: string | undefined;
  /** Also reads them. */
  readonly bytes: boolean;
}

/** What was counted so far. */
interface Counts {
  chunks: number;
  replicas: number;
  bytes: number;
}

/** Looks at all growing chunks, and tells as it goes. */
export async function* auditTails(
  parts: TailAuditParts,
  options: TailAuditOptions,
): AsyncGenerator<FsckEvent, void, undefined> {
  const { run, client } = parts;
  const { call, path } = options;
  const counts: Counts = { chunks: 0, replicas: 0, bytes: 0 };
  for (let after = 0; ; ) {
    const window = { after, limit: PAGE };
    const page = await run("fsck.tails", undefined, call, (one) =>
      one.run(STEP, () => client.tails(window, one)),
    );
    const wanted = page.filter((tail) => path === undefined || isBelow(tail.path, path));
    for (let i = 0; i < wanted.length; i += AT_ONCE) {
      const some = wanted.slice(i, i + AT_ONCE);
      const told = await Promise.all(some.map((tail) => auditTail(parts, options, tail, counts)));
      yield* told.flat();
      const progress = { phase: "replicas", records: 0, files: 0, ...counts } as const;
      yield { kind: "progress", progress };
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after = last.handle;
  }
}

async function auditTail(
  { run, tails }: TailAuditParts,
  { call, bytes: read }: TailAuditOptions,
  tail: GrowingChunk,
  counts: Counts,
): Promise<readonly FsckEvent[]> {
  const { handle, obstacle } = tail;
  if (obstacle !== "") {
    return [{ kind: "finding", finding: findingOf("stuck", tail, undefined, obstacle) }];
  }
  const onBytes = (bytes: number): void => {
    counts.bytes += bytes;
  };
  const where = { ...tail, offset: 0 };
  try {
    const checked = await run("fsck.tail", undefined, call, (one) =>
      checkTail(tails, one, where, { read, onBytes }),
    );
    if (checked === undefined) return []; // sealed by now
    counts.chunks++;
    counts.replicas += checked.copies.length;
    return checked.copies.flatMap((copy) => eventsOf(tail, copy));
  } catch (error) {
    if (call.signal?.aborted === true || !(error instanceof Error)) throw error;
    if (error instanceof InternalError && error.code === "CLOSED") throw error;
    return [{ kind: "unchecked", subject: `growing chunk ${handle}`, why: error.message }];
  }
}

function eventsOf(tail: GrowingChunk, copy: TailCopy): readonly FsckEvent[] {
  const { finding, name, why } = copy;
  switch (finding) {
    case "intact":
      return [];
    case "bad":
      return [{ kind: "finding", finding: findingOf("growingDamaged", tail, name, why) }];
    case "unknown":
      return [{ kind: "unchecked", subject: `growing chunk ${tail.handle} on ${name}`, why }];
  }
}

function findingOf(
  fault: TailFault,
  { handle, path }: GrowingChunk,
  server: string | undefined,
  what: string,
): FsckFinding {
  const place = path === "" ? undefined : path;
  return { fault, path: place, handle, server, what, wayOut: wayOut(fault, handle) };
}

function isBelow(path: string, top: string): boolean {
  return top === "/" || path === top || path.startsWith(`${top}/`);
}
