// Whoever makes things go wrong for a moment, by a seed: members are killed, frozen, restarted, and
// come back as they were.
//
// N1. At most one master and at most one chunkserver suffer so at a time; the next one suffers only
//     after the one before has come back. What takes longer is for `upheavals.ts`.
// N2. When `run` has ended, nothing is frozen any more and everybody has been started.

import type { Random } from "@lumeofs/base";
import type { LocalCluster } from "../../local-cluster.js";
import type { Role } from "../../topology.js";
import { waitUntil } from "../../wait-until.js";
import { rest } from "../rest.js";
import type { Faults } from "./faults.js";
import { freezeFor, killFor, stutter } from "./harm.js";
import type { Watchtower } from "./watchtower.js";

export interface HarmParts {
  readonly cluster: LocalCluster;
  readonly tower: Watchtower;
  readonly faults: Faults;
  readonly random: Random;
  readonly anomaly: (text: string) => void;
}

export interface NemesisPlan {
  /** Longest rest between two faults of one kind of member. */
  readonly restMsMax: number;
  /** Longest time that a member is down or frozen. */
  readonly faultMsMax: number;
}

/** A member that was started takes part by then, or that is an anomaly. */
const RETURN_MS_MAX = 60_000;

export class Nemesis {
  readonly #parts: HarmParts;
  readonly #plan: NemesisPlan;

  constructor(parts: HarmParts, plan: NemesisPlan) {
    this.#parts = parts;
    this.#plan = plan;
  }

  /** Makes things go wrong until `end` aborts, then lets everybody come back (N2). */
  async run(end: AbortSignal): Promise<void> {
    await Promise.all([this.#lane("master", end), this.#lane("chunkserver", end)]);
  }

  async #lane(role: Role, end: AbortSignal): Promise<void> {
    const { random } = this.#parts;
    while (!end.aborted) {
      await rest(random.fraction() * this.#plan.restMsMax, end);
      if (!end.aborted) await this.#harmOne(role, end);
    }
  }

  /** A member of a role; for masters the leader half of the time. */
  async #harmOne(role: Role, end: AbortSignal): Promise<void> {
    const { cluster, faults, tower, random } = this.#parts;
    const leader = role === "master" ? await tower.leader() : undefined;
    const able = cluster
      .members()
      .filter((one) => one.role === role && !faults.isSuffering(one.id))
      .map(({ id }) => id);
    const drawn = able[Math.floor(random.fraction() * able.length)];
    const isLeader = leader !== undefined && random.fraction() < 0.5;
    const target = isLeader ? leader : drawn;
    if (target === undefined) return;
    const chance = random.fraction();
    const ms = this.#plan.faultMsMax * random.fraction() ** 2;
    const [kind, act] =
      chance < 0.4
        ? ["kill", () => killFor(cluster, target, ms, end)]
        : chance < 0.7
          ? ["freeze", () => freezeFor(cluster, target, ms, end)]
          : chance < 0.85
            ? ["stutter", () => stutter(cluster, target, random, end)]
            : ["restart", () => cluster.restart(target)];
    await faults.during({ kind, target, wasLeader: target === leader }, async () => {
      await act();
      await awaitReturn(this.#parts, target, kind);
    });
  }
}

/** Waits until a member takes part again. */
export async function awaitReturn(
  { tower, anomaly }: Pick<HarmParts, "tower" | "anomaly">,
  id: string,
  after: string,
): Promise<void> {
  const isBack = async (): Promise<true | undefined> => (await tower.takesPart(id)) || undefined;
  if ((await waitUntil(isBack, { timeoutMs: RETURN_MS_MAX })) !== undefined) return;
  anomaly(`${id} did not come back within ${RETURN_MS_MAX / 1_000} s after "${after}"`);
}
