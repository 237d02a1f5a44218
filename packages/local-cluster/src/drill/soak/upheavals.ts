// What happens to chunkservers that moves copies: disks are lost, servers stay away for long, and
// operators drain, replace, maintain and balance them, and pause, resume and cancel what they have
// begun.
//
// U1. One after the other, and the next one begins only when the cluster says that it is whole: at
//     most one server's copies are missing because of them.
// U2. When `run` has ended, every member runs and takes all parts.

import { type JobInfo, LumeoError } from "@lumeofs/client";
import { waitUntil } from "../../wait-until.js";
import { rest } from "../rest.js";
import { wipe } from "./harm.js";
import { awaitReturn, type HarmParts } from "./nemesis.js";

export interface UpheavalPlan {
  readonly restMsMax: number;
  /** A server that is away longer is repaired. */
  readonly repairAfterMs: number;
  /** Bytes of a store that is full at once. */
  readonly fullBytes: number;
}

/** Everything is whole again by then, or that is an anomaly. */
const WHOLE_MS_MAX = 300_000;
const JOB_MS_MAX = 300_000;
const HOLD_MS_MAX = 3_000;
const PAUSE_CHANCE = 0.4;
const CANCEL_CHANCE = 0.25;

export class Upheavals {
  readonly #parts: HarmParts;
  readonly #plan: UpheavalPlan;
  readonly #chunkservers: number;

  constructor(parts: HarmParts, plan: UpheavalPlan) {
    this.#parts = parts;
    this.#plan = plan;
    this.#chunkservers = parts.cluster.members().filter((one) => one.role === "chunkserver").length;
  }

  async run(end: AbortSignal): Promise<void> {
    const { random } = this.#parts;
    while (!end.aborted) {
      await rest(random.fraction() * this.#plan.restMsMax, end);
      if (!end.aborted) await this.#next(end);
    }
  }

  async #next(end: AbortSignal): Promise<void> {
    const { cluster, faults, random } = this.#parts;
    const able = cluster
      .members()
      .filter((one) => one.role === "chunkserver" && !faults.isSuffering(one.id));
    const target = able[Math.floor(random.fraction() * able.length)]?.id;
    if (target === undefined) return;
    const kinds: readonly (readonly [string, () => Promise<void>])[] = [
      ["disk lost", () => this.#loseDisk(target)],
      ["long outage", () => this.#outage(target, end)],
      ["drain", () => this.#drain(target, end)],
      ["replacement", () => this.#replace(target, end)],
      ["maintenance", () => this.#maintain(target, end)],
      ["rebalance", () => this.#rebalance(end)],
      ["full disk", () => this.#fill(target, end)],
    ];
    const [kind, act] = kinds[Math.floor(random.fraction() * kinds.length)] as (typeof kinds)[0];
    await faults.during({ kind, target }, async () => {
      await act();
      await this.#awaitWhole(kind);
    });
  }

  async #loseDisk(id: string): Promise<void> {
    const { cluster } = this.#parts;
    await wipe(cluster, id);
    await cluster.restart(id);
    await awaitReturn(this.#parts, id, "disk lost");
  }

  /** So long that its copies are made elsewhere; sometimes it is back in the middle of that. */
  async #outage(id: string, end: AbortSignal): Promise<void> {
    const { cluster, random, tower } = this.#parts;
    await cluster.kill(id);
    await rest(this.#plan.repairAfterMs, end);
    const begun = async (): Promise<true | undefined> => {
      if (end.aborted) return true;
      const jobs = await tower.client.healing.jobs().catch(() => []);
      return jobs.some(({ kind, node }) => kind === "repair" && node === id) || undefined;
    };
    if ((await waitUntil(begun, { timeoutMs: JOB_MS_MAX })) === undefined) {
      this.#parts.anomaly(`no repair of ${id} began`);
    }
    await rest(random.fraction() * this.#plan.repairAfterMs, end);
    await cluster.restart(id);
    await awaitReturn(this.#parts, id, "long outage");
  }

  async #drain(id: string, end: AbortSignal): Promise<void> {
    const job = await this.#begin("drain", id);
    if (job !== undefined) await this.#follow(job, end);
    await this.#activate(id);
  }

  /** Emptied for good, switched off, and a new machine comes under its name. */
  async #replace(id: string, end: AbortSignal): Promise<void> {
    const { cluster } = this.#parts;
    const job = await this.#begin("decommission", id);
    const ended = job === undefined ? undefined : await this.#follow(job, end);
    if (ended?.state === "done") {
      await wipe(cluster, id);
      await cluster.restart(id);
    }
    await this.#activate(id);
    await awaitReturn(this.#parts, id, "replacement");
  }

  /** Nothing is repaired because of a server in maintenance. */
  async #maintain(id: string, end: AbortSignal): Promise<void> {
    const { cluster, tower } = this.#parts;
    const { healing } = tower.client;
    const last = (await this.#try(() => healing.jobs()))?.at(-1)?.id ?? 0;
    await this.#try(() => healing.changeNode(id, { standing: "maintenance" }));
    await cluster.kill(id);
    await rest(this.#plan.repairAfterMs * 2, end);
    await cluster.restart(id);
    await awaitReturn(this.#parts, id, "maintenance");
    await this.#activate(id);
    const jobs = (await this.#try(() => healing.jobs())) ?? [];
    const wrong = jobs.find((one) => last < one.id && one.kind === "repair" && one.node === id);
    if (wrong !== undefined) this.#parts.anomaly(`job ${wrong.id} repaired ${id} in maintenance`);
  }

  async #rebalance(end: AbortSignal): Promise<void> {
    const job = await this.#begin("rebalance", undefined);
    if (job !== undefined) await this.#follow(job, end);
  }

  /** Started with less room than it uses: it takes nothing new, and serves what it has. */
  async #fill(id: string, end: AbortSignal): Promise<void> {
    const { cluster } = this.#parts;
    const environment = { LUMEO_CHUNKSERVER_CAPACITY_BYTES: String(this.#plan.fullBytes) };
    await cluster.restart(id, { environment });
    await awaitReturn(this.#parts, id, "full disk");
    await rest(this.#plan.repairAfterMs, end);
    await cluster.restart(id);
    await awaitReturn(this.#parts, id, "full disk");
  }

  #begin(
    kind: "drain" | "decommission" | "rebalance",
    node: string | undefined,
  ): Promise<JobInfo | undefined> {
    const { healing } = this.#parts.tower.client;
    return this.#try(async () => {
      try {
        return await healing.begin(kind, node, { anyway: true });
      } catch (error) {
        if (!LumeoError.is(error, "LUMEO_CONFLICT")) throw error;
        const jobs = await healing.jobs(); // begun by an attempt whose answer was lost
        return jobs.findLast((job) => job.kind === kind && job.endedAt === undefined);
      }
    });
  }

  /** Until a job has ended; on the way it may be paused for a while, or cancelled. */
  async #follow(job: JobInfo, end: AbortSignal): Promise<JobInfo | undefined> {
    const { random, tower, anomaly } = this.#parts;
    const { healing } = tower.client;
    const isPaused = random.fraction() < PAUSE_CHANCE;
    const isCancelled = random.fraction() < CANCEL_CHANCE;
    const hold = HOLD_MS_MAX * random.fraction();
    if (isPaused || isCancelled) await rest(hold, end);
    if (isPaused) {
      const paused = await this.#try(() => healing.changeJob(job.id, "pause"));
      await rest(hold, end);
      if (paused?.state === "paused") await this.#try(() => healing.changeJob(job.id, "resume"));
    }
    if (isCancelled) await this.#try(() => healing.changeJob(job.id, "cancel"));
    const over = async (): Promise<JobInfo | undefined> => {
      await rest(HOLD_MS_MAX / 10, end);
      const now = await healing.job(job.id).catch(() => undefined);
      return now?.endedAt === undefined ? undefined : now;
    };
    const ended = await waitUntil(over, { timeoutMs: JOB_MS_MAX });
    if (ended === undefined) anomaly(`job ${job.id} (${job.kind} ${job.node}) does not end`);
    return ended;
  }

  /** What an operator does again and again until it is answered. */
  async #try<T>(act: () => Promise<T>): Promise<T | undefined> {
    let failure = "";
    const attempt = async (): Promise<{ readonly value: T | undefined } | undefined> => {
      try {
        return { value: await act() };
      } catch (error) {
        if (!LumeoError.is(error)) throw error;
        failure = error.message;
        // It has ended meanwhile: what was asked for is not to be done any more.
        if (error.code === "LUMEO_PRECONDITION") return { value: undefined };
        return undefined;
      }
    };
    const answer = await waitUntil(attempt, { timeoutMs: JOB_MS_MAX });
    if (answer === undefined) this.#parts.anomaly(`an operator was refused: ${failure}`);
    return answer?.value;
  }

  async #activate(id: string): Promise<void> {
    const { healing } = this.#parts.tower.client;
    await this.#try(() => healing.changeNode(id, { standing: "active" }));
  }

  async #awaitWhole(after: string): Promise<void> {
    const missing = await this.#parts.tower.untilWhole(this.#chunkservers, WHOLE_MS_MAX);
    if (missing === undefined) return;
    this.#parts.anomaly(`not whole ${WHOLE_MS_MAX / 1_000} s after "${after}": ${missing}`);
  }
}
