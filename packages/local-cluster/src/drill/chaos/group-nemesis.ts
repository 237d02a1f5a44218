// Whoever makes things go wrong for the masters of a drill, by a seed: processes are killed, ended,
// frozen and started again; meanwhile masters are added, removed, replaced after the loss of their
// disk, and made to hand over.
//
// G1. Harmed masters, with the one that has lost its disk, are always a minority: the group works
//     on, so no call fails. But now and then the power fails for all of them at once, for a moment.
// G2. Changes of the group come one after the other.
// G3. Only processes of this cluster get signals, by the pid that the cluster started.
// G4. When `run` has ended, nothing is frozen any more and every member has been started.

import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "@lumeofs/base";
import type { ClusterStatus, Lumeo } from "@lumeofs/client";
import type { LocalCluster } from "../../local-cluster.js";
import { waitUntil } from "../../wait-until.js";
import { rest } from "../rest.js";
import type { MemberLogs } from "./member-logs.js";

export interface ChaosFault {
  /** For people, such as "kill m1 (leader)". */
  readonly what: string;
  readonly beganMs: number;
  endedMs: number | undefined;
}

export interface GroupNemesisParts {
  readonly cluster: LocalCluster;
  readonly client: Lumeo;
  readonly logs: MemberLogs;
  readonly random: { fork(purpose: string): Random };
  readonly elapsedMs: () => number;
  readonly anomaly: (text: string) => void;
}

export const POWER_CUT = "power cut";
const MASTERS_MIN = 3;
const MASTERS_MAX = 5;
const REST_MS_MAX = 1_500;
const HARM_MS_MAX = 3_500;
/** A member that is whole again takes part by then. */
const RETURN_MS_MAX = 45_000;
const STUTTERS = 8;
const STUTTER_MS_MAX = 300;
/** A change of the group that takes longer hangs. */
const CHANGE_MS_MAX = 60_000;
const POWER_CUT_MS_MAX = 600;
const NOTHING = new AbortController().signal;
const REFUSAL = /knows another store under this name|knows a master .+ already/;

export class GroupNemesis {
  readonly faults: ChaosFault[] = [];
  /** Masters that have ever lost their disk: they may end with a refusal. */
  readonly everWiped = new Set<string>();
  readonly #parts: GroupNemesisParts;
  readonly #harmed = new Set<string>();
  /** The one whose disk is lost and that was not replaced yet. */
  #wiped: string | undefined;
  /** The least number of voters while the group is being changed. */
  #size: number | undefined;

  constructor(parts: GroupNemesisParts) {
    this.#parts = parts;
  }

  /** Faults under way, for people. */
  get underWay(): string {
    const now = this.faults.filter(({ endedMs }) => endedMs === undefined);
    return now.map(({ what }) => what).join(", ");
  }

  /** Makes things go wrong until `end`, then lets everybody come back (G4). */
  async run(end: AbortSignal): Promise<void> {
    const { random, cluster } = this.#parts;
    const lane = async (name: string, act: (random: Random) => Promise<void>): Promise<void> => {
      const chance = random.fork(name);
      while (!end.aborted) {
        await rest(REST_MS_MAX * chance.fraction(), end);
        if (!end.aborted) await act(chance);
      }
    };
    await Promise.all([
      lane("first process", (chance) => this.#harm(chance, end)),
      lane("second process", (chance) => this.#harm(chance, end)),
      lane("group", (chance) => this.#change(chance)),
    ]);
    await cluster.revive();
  }

  /** Harms a process, if the group can do without it (G1). */
  async #harm(random: Random, end: AbortSignal): Promise<void> {
    const mayBe = (one: string): boolean => !this.#harmed.has(one) && one !== this.#wiped;
    const id = this.#canSpareOne ? await this.#victim(random, mayBe) : undefined;
    if (id === undefined || !this.#canSpareOne || !mayBe(id)) return;
    this.#harmed.add(id);
    const ms = HARM_MS_MAX * random.fraction() ** 2;
    const chance = random.fraction();
    const [what, act] =
      chance < 0.35
        ? ["kill", () => this.#end(id, "SIGKILL", ms, end)]
        : chance < 0.55
          ? ["end", () => this.#end(id, "SIGTERM", ms, end)]
          : chance < 0.85
            ? ["freeze", () => this.#freeze(id, ms, end)]
            : ["stutter", () => this.#stutter(id, random, end)];
    await this.#during(`${what} ${id}`, async () => {
      await act();
      await this.#awaitReturn(id);
    });
    this.#harmed.delete(id);
  }

  /** Until it takes part again, or is no member. */
  async #awaitReturn(id: string): Promise<void> {
    const isBack = async (): Promise<true | undefined> => {
      if (!this.#masters.includes(id)) return true;
      const status = await this.#status();
      const one = status?.masters.find((master) => master.id === id);
      if (status === undefined || status.leader === "") return undefined;
      return one === undefined || one.leader === status.leader || undefined;
    };
    const back = await waitUntil(isBack, { timeoutMs: RETURN_MS_MAX });
    if (back === undefined) this.#parts.anomaly(`${id} did not come back`);
  }

  async #end(id: string, signal: "SIGKILL" | "SIGTERM", ms: number, end: AbortSignal) {
    const { cluster } = this.#parts;
    if (this.#pidOf(id) !== undefined) await cluster.kill(id, signal);
    await rest(ms, end);
    await cluster.revive();
  }

  async #freeze(id: string, ms: number, end: AbortSignal): Promise<void> {
    const pid = this.#pidOf(id);
    if (pid === undefined || !signalled(pid, "SIGSTOP")) return;
    await rest(ms, end);
    // It may have been removed and ended meanwhile; its pid is not another's so soon.
    signalled(pid, "SIGCONT");
  }

  async #stutter(id: string, random: Random, end: AbortSignal): Promise<void> {
    for (let i = 0; i < STUTTERS && !end.aborted; i++) {
      await this.#freeze(id, STUTTER_MS_MAX * random.fraction(), end);
      await rest(STUTTER_MS_MAX * random.fraction(), end);
    }
  }

  /** One change of the group, to its end. */
  async #change(random: Random): Promise<void> {
    const { client, cluster } = this.#parts;
    const count = this.#masters.length;
    const chance = random.fraction();
    if (chance < 0.25) {
      await this.#changing("hand over", () => client.masters.transferLeadership());
    } else if (chance < 0.4) {
      await this.#wipe(random);
    } else if (chance < 0.47) {
      await this.#powerCut(random);
    } else if (count <= MASTERS_MIN || (count < MASTERS_MAX && chance < 0.75)) {
      const more = count + 2 <= MASTERS_MAX && random.fraction() < 0.4 ? 2 : 1;
      this.#size = count; // the new ones do not vote yet
      await this.#changing(`add ${more}`, () => cluster.addMasters(more));
    } else {
      const first = await this.#victim(random, () => true);
      const second = this.#masters.find((id) => id !== first);
      const isTwo = MASTERS_MIN + 2 <= count && random.fraction() < 0.4;
      const ids = [first, isTwo ? second : undefined].filter((id) => id !== undefined);
      await this.#remove(ids);
    }
    this.#size = undefined;
  }

  /** A master loses its disk, is not let in again under its name, and is replaced. */
  async #wipe(random: Random): Promise<void> {
    const { cluster, logs, anomaly } = this.#parts;
    const id = await this.#victim(random, (one) => !this.#harmed.has(one));
    if (id === undefined || !this.#canSpareOne) return;
    this.#wiped = id;
    this.everWiped.add(id);
    this.#size = this.#masters.length;
    await this.#changing(`wipe ${id}`, async () => {
      await cluster.kill(id);
      const position = logs.length(id);
      rmSync(join(cluster.dir, id, "data"), { recursive: true, force: true });
      await cluster.revive();
      const hasRefused = (): true | undefined =>
        REFUSAL.test(logs.since(id, position)) || undefined;
      const refused = await waitUntil(hasRefused, { timeoutMs: CHANGE_MS_MAX });
      if (refused === undefined) anomaly(`${id} was not refused after its disk was wiped`);
    });
    if (this.#masters.length <= MASTERS_MIN) {
      await this.#changing(`add 1 for ${id}`, () => cluster.addMasters(1));
    }
    await this.#remove([id]);
    this.#wiped = undefined;
  }

  /** All masters lose their power at once. */
  async #powerCut(random: Random): Promise<void> {
    const { cluster } = this.#parts;
    this.#size = 0; // nobody is harmed besides
    await waitUntil(() => this.#harmed.size === 0 || undefined, { timeoutMs: CHANGE_MS_MAX });
    await this.#during(POWER_CUT, async () => {
      await Promise.all(this.#masters.map((id) => cluster.kill(id)));
      await rest(POWER_CUT_MS_MAX * random.fraction(), NOTHING);
      await cluster.revive();
      await waitUntil(() => this.#leader(), { timeoutMs: CHANGE_MS_MAX });
    });
  }

  async #remove(ids: readonly string[]): Promise<void> {
    const before = this.#masters.length;
    this.#size = before - ids.length;
    const missingBefore = this.#wiped === undefined ? 0 : 1;
    const isSafe = (): true | undefined => {
      const harmed = this.#harmed.size;
      return (harmed <= this.#minority && harmed + missingBefore < before / 2) || undefined;
    };
    await waitUntil(isSafe, { timeoutMs: CHANGE_MS_MAX });
    const what = `remove ${ids.join(" and ")}`;
    await this.#changing(what, () => this.#parts.cluster.removeMasters(ids));
  }

  /** G2: an operator waits for the end of a change; one that fails or hangs is an anomaly. */
  async #changing(what: string, act: () => Promise<unknown>): Promise<void> {
    await this.#during(what, async () => {
      const over = new AbortController();
      const late = rest(CHANGE_MS_MAX, over.signal).then(() => {
        if (!over.signal.aborted) this.#parts.anomaly(`"${what}" hangs`);
      });
      try {
        await act();
      } catch (error) {
        this.#parts.anomaly(`"${what}" failed: ${(error as Error).message}`);
      }
      over.abort();
      await late;
    });
  }

  async #during(what: string, act: () => Promise<void>): Promise<void> {
    const beganMs = this.#parts.elapsedMs();
    const fault: ChaosFault = { what, beganMs, endedMs: undefined };
    this.faults.push(fault);
    await act();
    fault.endedMs = this.#parts.elapsedMs();
  }

  /** A master of which `mayBe` is true, half of the time the leader. */
  async #victim(random: Random, mayBe: (id: string) => boolean): Promise<string | undefined> {
    const isLeader = random.fraction() < 0.5;
    const draw = random.fraction();
    const leader = isLeader ? await this.#leader() : undefined;
    const choices = this.#masters.filter(mayBe);
    if (leader !== undefined && choices.includes(leader)) return leader;
    return choices[Math.floor(draw * choices.length)];
  }

  async #leader(): Promise<string | undefined> {
    return (await this.#status())?.leader || undefined;
  }

  async #status(): Promise<ClusterStatus | undefined> {
    try {
      return await this.#parts.client.clusterStatus({ deadlineMs: 1_000, retry: false });
    } catch {
      return undefined; // nobody answers: the next look tells more
    }
  }

  /** G1: whether one more may be missing. */
  get #canSpareOne(): boolean {
    return this.#harmed.size + (this.#wiped === undefined ? 0 : 1) < this.#minority;
  }

  get #minority(): number {
    return Math.ceil((this.#size ?? this.#masters.length) / 2) - 1;
  }

  get #masters(): readonly string[] {
    const masters = this.#parts.cluster.members().filter(({ role }) => role === "master");
    return masters.map(({ id }) => id);
  }

  #pidOf(id: string): number | undefined {
    return this.#parts.cluster.members().find((one) => one.id === id)?.pid ?? undefined;
  }
}

/** False if the process has ended. */
function signalled(pid: number, signal: "SIGSTOP" | "SIGCONT"): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
