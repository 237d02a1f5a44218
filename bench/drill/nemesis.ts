// Whoever makes things go wrong, by a seed: members are killed, frozen, restarted.
//
// N1. At most one master and at most `chunkserversDownMax` chunkservers suffer at a time; the next
//     suffers only after the one before has come back.
// N2. Only members of this cluster get signals, by the pid that the cluster started.
// N3. When `run` has ended, nothing is frozen any more and everybody has been started.

import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "@lumeofs/base";
import { type LocalCluster, type MemberRecord, waitUntil } from "@lumeofs/local-cluster";
import { askMaster } from "./probe.js";

export type FaultKind = "kill" | "freeze" | "stutter" | "restart";

export interface Fault {
  readonly kind: FaultKind;
  readonly target: string;
  readonly wasLeader: boolean;
  readonly beganMs: number;
  endedMs: number | undefined;
}

export interface NemesisPlan {
  readonly chunkserversDownMax: number;
  /** Longest rest between two faults of one kind of member. */
  readonly restMsMax: number;
  /** Longest time that a member is down or frozen. */
  readonly faultMsMax: number;
}

/** A member that was started answers by then, or that is an anomaly. */
const RETURN_MS_MAX = 45_000;
const STUTTERS = 12;
const STUTTER_MS_MAX = 250;

export interface NemesisPorts {
  readonly cluster: LocalCluster;
  readonly random: Random;
  readonly elapsedMs: () => number;
  /** Chunkservers that the masters take for alive. */
  readonly alive: () => Promise<ReadonlySet<string>>;
  readonly anomaly: (text: string) => void;
}

export class Nemesis {
  readonly faults: Fault[] = [];
  readonly #ports: NemesisPorts;
  readonly #plan: NemesisPlan;
  readonly #suffering = new Set<string>();

  constructor(ports: NemesisPorts, plan: NemesisPlan) {
    this.#ports = ports;
    this.#plan = plan;
  }

  /** Faults under way, such as "kill m1 (leader)". */
  get underWay(): string {
    const now = this.faults.filter((fault) => fault.endedMs === undefined);
    return now
      .map(({ kind, target, wasLeader }) => {
        return `${kind} ${target}${wasLeader ? " (leader)" : ""}`;
      })
      .join(", ");
  }

  /** Makes things go wrong until `end` aborts, then lets everybody come back (N3). */
  async run(end: AbortSignal): Promise<void> {
    const { chunkserversDownMax } = this.#plan;
    const lanes = Array.from({ length: chunkserversDownMax }, () => "chunkserver" as const);
    await Promise.all(["master" as const, ...lanes].map((role) => this.#lane(role, end)));
  }

  async #lane(role: MemberRecord["role"], end: AbortSignal): Promise<void> {
    const { random } = this.#ports;
    while (!end.aborted) {
      await rest(random.fraction() * this.#plan.restMsMax, end);
      if (end.aborted) return;
      const { target, wasLeader } = await this.#choose(role);
      if (target === undefined) continue;
      this.#suffering.add(target.id);
      try {
        await this.#harm(target, wasLeader, end);
      } finally {
        this.#suffering.delete(target.id);
      }
    }
  }

  /** A member of a role; for masters the leader half of the time. */
  async #choose(
    role: MemberRecord["role"],
  ): Promise<{ readonly target: MemberRecord | undefined; readonly wasLeader: boolean }> {
    const { cluster, random } = this.#ports;
    const all = cluster
      .members()
      .filter((one) => one.role === role && !this.#suffering.has(one.id));
    const leader = role === "master" ? await leaderOf(all) : undefined;
    const chosen = all[Math.floor(random.fraction() * all.length)];
    const target = random.fraction() < 0.5 ? (leader ?? chosen) : chosen;
    return { target, wasLeader: target !== undefined && target.id === leader?.id };
  }

  async #harm(target: MemberRecord, wasLeader: boolean, end: AbortSignal): Promise<void> {
    const { random, elapsedMs, cluster } = this.#ports;
    const chance = random.fraction();
    const kind: FaultKind =
      chance < 0.4 ? "kill" : chance < 0.7 ? "freeze" : chance < 0.85 ? "stutter" : "restart";
    const fault: Fault = {
      kind,
      target: target.id,
      wasLeader,
      beganMs: elapsedMs(),
      endedMs: undefined,
    };
    this.faults.push(fault);
    const ms = this.#plan.faultMsMax * random.fraction() ** 2;
    if (kind === "kill") {
      await cluster.kill(target.id);
      await rest(ms, end);
      await cluster.restart(target.id);
    } else if (kind === "restart") {
      await cluster.restart(target.id);
    } else if (kind === "freeze") {
      await this.#freeze(target.id, ms, end);
    } else {
      for (let i = 0; i < STUTTERS && !end.aborted; i++) {
        await this.#freeze(target.id, random.fraction() * STUTTER_MS_MAX, end);
        await rest(random.fraction() * STUTTER_MS_MAX, end);
      }
    }
    await this.#awaitReturn(target, kind);
    fault.endedMs = elapsedMs();
  }

  async #freeze(id: string, ms: number, end: AbortSignal): Promise<void> {
    this.#signal(id, "SIGSTOP");
    await rest(ms, end);
    this.#signal(id, "SIGCONT");
  }

  /** N2. */
  #signal(id: string, signal: "SIGSTOP" | "SIGCONT"): void {
    const pid = this.#ports.cluster.members().find((one) => one.id === id)?.pid;
    if (typeof pid === "number") process.kill(pid, signal);
  }

  async #awaitReturn({ id, role, address }: MemberRecord, after: FaultKind): Promise<void> {
    const { alive, anomaly } = this.#ports;
    const isBack = async (): Promise<true | undefined> => {
      if (role === "chunkserver") return (await alive()).has(id) || undefined;
      const view = await askMaster(address, { timeoutMs: 1000 });
      return view !== undefined && view.leader !== "" ? true : undefined;
    };
    const back = await waitUntil(isBack, { timeoutMs: RETURN_MS_MAX });
    if (back === undefined) anomaly(`${id} did not come back within 45 s after "${after}"`);
  }
}

/** The master that leads, as one of them believes that leads itself. */
async function leaderOf(masters: readonly MemberRecord[]): Promise<MemberRecord | undefined> {
  const views = await Promise.all(
    masters.map(({ address }) => askMaster(address, { timeoutMs: 1000 })),
  );
  const leader = views.find((view) => view !== undefined && view.leader === view.id)?.id;
  return masters.find(({ id }) => id === leader);
}

async function rest(ms: number, end: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal: end }).catch(() => undefined);
}
