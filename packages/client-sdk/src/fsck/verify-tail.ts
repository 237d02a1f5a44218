// Every copy of what is being appended to a file, read as a reader would: each record against its
// checksum, and the whole of what is committed on one member against the others.
//
// Members lag behind the primary by what is under way, so all of them are asked for as much as the
// primary has committed when it begins. One that has not come so far is asked again for a while.

import { type Crc32c, LumeoError, type ServerId } from "@lumeofs/base";
import type { Call } from "../call.js";
import type { ReplicaState, TailLocation } from "../operations.js";
import type { TailBytes, TailPool, TailState } from "../rpc/tail-pool.js";

/** What one request asks for. */
const PIECE_BYTES = 1024 * 1024;
const ANSWER_MS = 3_000;
/** How long a member may take to come as far as the primary was. */
const LAG_MS = 5_000;
const LAG_PAUSE_MS = 100;

export interface TailCheckParts {
  readonly tails: Pick<TailPool, "read">;
  readonly crc32c: Crc32c;
}

/** How one member's copy of a growing chunk is. */
export interface TailCopy {
  readonly server: ServerId;
  readonly name: string;
  /** "bad": records are not what was written, or others than elsewhere. */
  readonly finding: "intact" | "bad" | "unknown";
  readonly why: string;
}

export interface TailCheck {
  readonly committedBytes: number;
  readonly copies: readonly TailCopy[];
}

/** What was read of a member: a checksum of all of it, or why there is none. */
type Reading =
  | { readonly kind: "read"; readonly crc32c: number }
  | { readonly kind: "bad" | "unknown"; readonly why: string };

/**
 * Reads what is committed of a growing chunk from all members.
 *
 * @param read  False: it is only asked whether each has come so far.
 * @returns     Undefined if it is sealed by now: it is a chunk of its file like any other.
 * @throws      LumeoError if its primary does not say what is committed.
 */
export async function checkTail(
  parts: TailCheckParts,
  call: Call,
  tail: TailLocation,
  { read, onBytes }: { readonly read: boolean; readonly onBytes: (bytes: number) => void },
): Promise<TailCheck | undefined> {
  const [primary] = tail.replicas;
  if (primary === undefined) throw new LumeoError("UNAVAILABLE", "a tail has no primary");
  try {
    const nothing = { offset: 0, length: 0, seen: undefined };
    const state = await parts.tails.read(primary, tail, nothing, limitsOf(call));
    const wish = { state, length: read ? state.committedBytes : 0, onBytes };
    const members = tail.replicas.map(async (member) => {
      return { member, reading: await readMember(parts, call, { tail, member }, wish) };
    });
    return { committedBytes: state.committedBytes, copies: judge(await Promise.all(members)) };
  } catch (error) {
    if (error instanceof LumeoError && error.code === "SEALED") return undefined;
    throw error;
  }
}

/** Those that are not like most of the others are bad; without a majority all that were read. */
function judge(
  readings: readonly { readonly member: ReplicaState; readonly reading: Reading }[],
): readonly TailCopy[] {
  const counts = new Map<number, number>();
  for (const { reading } of readings) {
    if (reading.kind !== "read") continue;
    counts.set(reading.crc32c, (counts.get(reading.crc32c) ?? 0) + 1);
  }
  const [most] = [...counts].sort((a, b) => b[1] - a[1]);
  const isClear = counts.size === 1 || (most !== undefined && readings.length < 2 * most[1]);
  return readings.map(({ member: { server, name }, reading }) => {
    if (reading.kind !== "read") {
      return { server, name, finding: reading.kind, why: reading.why };
    }
    if (isClear && reading.crc32c === most?.[0]) {
      return { server, name, finding: "intact", why: "" };
    }
    const why = "its committed records are not those of the other members";
    return { server, name, finding: "bad", why };
  });
}

async function readMember(
  parts: TailCheckParts,
  call: Call,
  of: { readonly tail: TailLocation; readonly member: ReplicaState },
  wish: {
    readonly state: TailState;
    readonly length: number;
    readonly onBytes: (bytes: number) => void;
  },
): Promise<Reading> {
  const { state, length, onBytes } = wish;
  let crc = 0;
  try {
    for (let offset = 0; ; ) {
      const piece = Math.min(PIECE_BYTES, length - offset);
      const { pieces } = await askMember(parts, call, of, { offset, length: piece, state });
      let rest = length - offset;
      for (const bytes of pieces) {
        const part = bytes.subarray(0, rest); // records may reach beyond what is compared
        crc = parts.crc32c(part, crc);
        rest -= part.byteLength;
        offset += part.byteLength;
        onBytes(part.byteLength);
      }
      if (rest === 0) return { kind: "read", crc32c: crc };
      if (pieces.length === 0) return { kind: "bad", why: `it ends ${rest} bytes too early` };
    }
  } catch (error) {
    call.cancellation.throwIfAborted();
    if (!(error instanceof LumeoError) || error.code === "SEALED") throw error;
    const isBad = error.code === "CHECKSUM" || error.code === "PROTOCOL";
    return { kind: isBad ? "bad" : "unknown", why: error.message };
  }
}

/** One piece; of a member that lags, after a while. */
async function askMember(
  { tails }: TailCheckParts,
  call: Call,
  { tail, member }: { readonly tail: TailLocation; readonly member: ReplicaState },
  wish: { readonly offset: number; readonly length: number; readonly state: TailState },
): Promise<TailBytes> {
  const { offset, length, state } = wish;
  const { epoch, seq } = state;
  for (let waitedMs = 0; ; waitedMs += LAG_PAUSE_MS) {
    try {
      const range = { offset, length, seen: { epoch, seq } };
      return await tails.read(member, tail, range, limitsOf(call));
    } catch (error) {
      const isLag = error instanceof LumeoError && error.code === "UNAVAILABLE";
      if (!isLag || LAG_MS <= waitedMs) throw error;
      await call.pause(LAG_PAUSE_MS);
    }
  }
}

function limitsOf({ timeoutMs, cancellation: signal }: Call) {
  return { timeoutMs: Math.min(timeoutMs, ANSWER_MS), signal };
}
