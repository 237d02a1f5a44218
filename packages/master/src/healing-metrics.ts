// Metrics of healing: brought here from its figures when somebody asks.

import { counter, gauge, type Metrics } from "@lumeofs/node";
import type { HealingFigures } from "./duties/healing/figures.js";
import type { Fleet } from "./fleet/servers.js";
import { inlineTotals } from "./metadata/inline-table.js";
import type { StateView } from "./metadata/state.js";

export const HEALING_METRICS = {
  chunks: gauge("lumeo_master_chunks", "Chunks at this leader's last look; 0 if it does not lead."),
  inlineChunks: gauge(
    "lumeo_master_inline_chunks",
    "Small files (and earlier contents of such) whose bytes this master keeps itself.",
  ),
  inlineBytes: gauge(
    "lumeo_master_inline_bytes",
    "Their bytes, of which inline-total is the most.",
  ),
  chunksDegraded: gauge(
    "lumeo_master_chunks_degraded",
    "Chunks with too few good copies or units, a damaged one, too few to be read, or too few now.",
    ["fault"],
  ),
  disks: gauge(
    "lumeo_master_disks",
    "Disks of the chunkservers that this leader hears: serving, readOnly, suspect or lost.",
    ["state"],
  ),
  healMoves: counter(
    "lumeo_master_heal_moves_total",
    "Copies made (and read again by another server), failed or dropped.",
    ["outcome"],
  ),
  healBytes: counter("lumeo_master_heal_bytes_total", "Bytes of the copies made."),
} as const;

/** Reads figures into metrics; what is counted there only grows. */
export class HealingMeter {
  readonly #metrics: Metrics<typeof HEALING_METRICS>;
  readonly #figures: HealingFigures;
  readonly #fleet: Pick<Fleet, "checks">;
  readonly #told = new Map<string, number>();

  constructor(
    metrics: Metrics<typeof HEALING_METRICS>,
    figures: HealingFigures,
    fleet: Pick<Fleet, "checks">,
  ) {
    this.#metrics = metrics;
    this.#figures = figures;
    this.#fleet = fleet;
  }

  /** @param isLeading  Whether this master looks at the chunks now. */
  read(isLeading: boolean, state: StateView): void {
    const kept = inlineTotals(state);
    this.#metrics.inlineChunks.set(kept.chunks);
    this.#metrics.inlineBytes.set(kept.bytes);
    const { moves, movedBytes, round } = this.#figures;
    const seen = isLeading ? round?.figures : undefined;
    this.#metrics.chunks.set(seen?.chunks ?? 0);
    const faults = ["underReplicated", "damaged", "lost", "unreadable"] as const;
    for (const fault of faults) this.#metrics.chunksDegraded.set(seen?.[fault] ?? 0, { fault });
    const disks = isLeading ? this.#fleet.checks.disks() : [];
    for (const state of ["serving", "readOnly", "suspect", "lost"] as const) {
      this.#metrics.disks.set(disks.filter((disk) => disk.state === state).length, { state });
    }
    for (const [outcome, count] of Object.entries(moves)) {
      this.#metrics.healMoves.add(this.#more(outcome, count), { outcome });
    }
    this.#metrics.healBytes.add(this.#more("bytes", movedBytes));
  }

  #more(name: string, count: number): number {
    const more = count - (this.#told.get(name) ?? 0);
    this.#told.set(name, count);
    return more;
  }
}
