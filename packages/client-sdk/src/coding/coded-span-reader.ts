// The bytes of a span of a coded chunk: from its data units, and rebuilt where these are missing.
//
// Y1. Stripes of a span are read apart from each other, at once. Of each only the ranges of cells
//     that are wanted are fetched, and what it takes to rebuild those that do not come.
// Y2. Only checked blocks count, of units whose record is the one in the metadata.
// Y3. Units that are damaged, missing or other ones are reported to the masters.
// Y4. A stripe of which too few units can be had is asked for again, like a chunk without replicas,
//     where the masters say by then that its units are. When all that is missing was found to be
//     bad, it is DATA_LOSS.
// Y5. A token that is not taken is replaced by a new one; only if that is refused too, it is a
//     failure of the server.

import {
  type ChunkCoding,
  cellRanges,
  crc32cCombine,
  LumeoError,
  type MonotonicMs,
  type Stripe,
  unitCount,
  unitLength,
} from "@lumeofs/base";
import { type Call, UNLIMITED } from "../call.js";
import type { ChunkTarget } from "../chunk-target.js";
import type { ReplicaState } from "../operations.js";
import { isBadCopy, knownDamage, type ReplicaOutlook } from "../replica-outlook.js";
import type { SpanRaceParts } from "../span-race.js";
import { Codecs } from "./codecs.js";
import { fetchStripe, type StripeFetchParts, type UnitFailure } from "./stripe-fetch.js";
import type { CellPart, UnitOutlook } from "./stripe-race.js";
import type { SummedBytes } from "./unit-part.js";

/** What is wanted of one stripe. */
interface StripeWish {
  readonly stripe: Stripe;
  readonly wanted: CellPart[];
}

/** Weight of a step of distance against milliseconds, when sources are chosen. */
const DISTANCE_RANK = 1_000;

export class CodedSpanReader {
  readonly #parts: StripeFetchParts;
  readonly #outlook: ReplicaOutlook;

  constructor(parts: SpanRaceParts, outlook: ReplicaOutlook) {
    this.#parts = { ...parts, codecs: new Codecs() };
    this.#outlook = outlook;
  }

  /**
   * @returns Undefined if the chunk is kept in another way by now.
   * @throws  LumeoError UNAVAILABLE if too few units of a stripe can be reached; DATA_LOSS (Y4).
   */
  async read(call: Call, target: ChunkTarget): Promise<SummedBytes | undefined> {
    const { chunk, wish } = target;
    const coding = chunk.coding as ChunkCoding; // the caller has looked
    const { offset: start, length } = wish.span;
    const stripes = wishesOf(coding, chunk.lengthBytes, { start, end: start + length });
    const all = await Promise.all(
      stripes.map((stripe) => this.#readStripe(call, target, coding, stripe)),
    );
    const pieces: Uint8Array[] = [];
    let crc32c = 0;
    for (const [n, { wanted }] of stripes.entries()) {
      const cells = all[n];
      if (cells === undefined) return undefined;
      for (const [i, { from, to }] of wanted.entries()) {
        const cell = cells[i] as SummedBytes;
        pieces.push(...cell.pieces);
        crc32c = crc32cCombine(crc32c, cell.crc32c, to - from);
      }
    }
    return { pieces, crc32c };
  }

  /** @returns Undefined if the chunk is kept in another way by now. */
  #readStripe(
    call: Call,
    target: ChunkTarget,
    coding: ChunkCoding,
    wish: StripeWish,
  ): Promise<readonly SummedBytes[] | undefined> {
    return call.run({ idempotent: true, limitMs: UNLIMITED }, async (attempt) => {
      if (1 < attempt) await target.relocate(call);
      for (let looks = 0; ; looks++) {
        if (target.isOtherwiseKept) return undefined;
        const found = await this.#tryStripe(call, target, coding, wish);
        if (found.kind === "done") return found.cells;
        if (found.kind === "refused") {
          await target.relocate(call);
          continue;
        }
        const lost = found.failures.filter(({ error }) => isBadCopy(error)).length;
        const { failures } = found;
        if (lost <= coding.parity) throw lostStripe(target, wish, failures, "UNAVAILABLE");
        if (0 < looks) {
          await target.file.checkUnchanged(call);
          throw lostStripe(target, wish, failures, "DATA_LOSS");
        }
        await target.relocate(call);
      }
    });
  }

  async #tryStripe(
    call: Call,
    { chunk, isTokenNew }: ChunkTarget,
    coding: ChunkCoding,
    { stripe, wanted }: StripeWish,
  ): Promise<
    | { readonly kind: "done"; readonly cells: readonly SummedBytes[] }
    | { readonly kind: "refused" }
    | { readonly kind: "failed"; readonly failures: readonly UnitFailure[] }
  > {
    const failures: UnitFailure[] = [];
    const now = this.#parts.ports.clock.monotonicMs();
    const outlooks: UnitOutlook[] = [];
    for (let unit = 0; unit < unitCount(coding); unit++) {
      const holder = chunk.replicas[unit];
      const isStored = 0 < unitLength(coding, chunk.lengthBytes, unit);
      const error = whyNotAsked(holder);
      if (isStored && error !== undefined) failures.push({ unit, error });
      outlooks.push(this.#outlookOf(error === undefined ? holder : undefined, now));
    }
    const onFailure = (failure: UnitFailure): void => {
      failures.push(failure);
      const holder = chunk.replicas[failure.unit];
      if (holder !== undefined) this.#outlook.failed(chunk.handle, holder, failure.error);
    };
    const onDone = (holder: ReplicaState): void => this.#outlook.worked(holder);
    const holders = chunk.replicas;
    const told = { onFailure, onDone };
    const task = { chunk, coding, stripe, wanted, holders, outlooks, isTokenNew, ...told };
    const end = await fetchStripe(this.#parts, call, task);
    return end.kind === "failed" ? { kind: "failed", failures } : end;
  }

  #outlookOf(holder: ReplicaState | undefined, now: MonotonicMs): UnitOutlook {
    if (holder === undefined) return { doubt: Infinity, rank: 0 };
    const { doubt, distance, expectedMs } = this.#outlook.prospect(holder, now);
    return { doubt, rank: DISTANCE_RANK * distance + expectedMs };
  }
}

/** What speaks against asking the holder of a unit at all. */
function whyNotAsked(holder: ReplicaState | undefined): LumeoError | undefined {
  if (holder === undefined || holder.address === "") {
    return new LumeoError("UNAVAILABLE", "its server has left the cluster");
  }
  return holder.damaged ? knownDamage() : undefined;
}

/** What is wanted of each stripe that a range touches. */
function wishesOf(
  coding: ChunkCoding,
  lengthBytes: number,
  range: { readonly start: number; readonly end: number },
): readonly StripeWish[] {
  const wishes: StripeWish[] = [];
  for (const { stripe, unit, unitOffset, lengthBytes: bytes } of cellRanges(
    coding,
    lengthBytes,
    range,
  )) {
    const from = unitOffset - stripe.cellOffset;
    const part: CellPart = { unit, from, to: from + bytes };
    const last = wishes.at(-1);
    if (last?.stripe.number === stripe.number) last.wanted.push(part);
    else wishes.push({ stripe, wanted: [part] });
  }
  return wishes;
}

function lostStripe(
  { chunk, file, wish: { span } }: ChunkTarget,
  { stripe }: StripeWish,
  failures: readonly UnitFailure[],
  code: "UNAVAILABLE" | "DATA_LOSS",
): LumeoError {
  const coding = chunk.coding as ChunkCoding; // as above
  const ordered = [...failures].sort((a, b) => a.unit - b.unit);
  const missing = ordered.map(({ unit, error }) => {
    const { name = "" } = chunk.replicas[unit] ?? {};
    return `unit ${unit} on "${name}": ${error.message}`;
  });
  const what =
    `Cannot read stripe ${stripe.number} of chunk ${chunk.handle} ` +
    `(number ${span.chunk} of "${file.info.path}")`;
  const count = `${ordered.length} of its ${unitCount(coding)} units are missing`;
  const servers = ordered.map(({ unit }) => chunk.replicas[unit]?.server ?? 0);
  const message = `${what}: ${count}, at most ${coding.parity} may be; ${missing.join("; ")}`;
  return new LumeoError(code, message, { servers: servers.filter((server) => 0 < server) });
}
