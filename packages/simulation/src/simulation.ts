// One simulated life of a whole cluster, from a seed: a time in which everything may go wrong, then
// a time in which nothing does and all must be well again.
//
// Checked all along: what the ledger says of files (F1 to F4), and that whatever a chunk's record
// lists is where it says (checks/replicas.ts). In the end every call ends, every file and snapshot
// is read whole, every copy is intact and where it should be, and nothing is left that nobody needs
// (liveness), each within a bound of virtual time.

import { SeededRandom } from "@lumeofs/base";
import type { Lumeo } from "@lumeofs/client";
import { openMetrics } from "@lumeofs/node";
import { World } from "@lumeofs/testkit";
import { ReplicaChecks } from "./checks/replicas.js";
import { Violation } from "./checks/violation.js";
import { Cluster, chunkserverConfigs, drawVictims } from "./cluster.js";
import type { Run } from "./machine/machine.js";
import { Nemesis } from "./nemesis.js";
import { type ClusterOptions, drawOptions, LENSES, type Lens } from "./options.js";
import { type Parts, REAL_PARTS } from "./parts.js";
import { Caretaker } from "./workload/caretaker.js";
import { EditorWorkload } from "./workload/editors.js";
import { FileWorkload, type Hand } from "./workload/files.js";
import { Ledger } from "./workload/ledger.js";
import { LogWorkload } from "./workload/logs.js";
import { operate, takeAllBack } from "./workload/operator.js";

/** So long a client waits for one call while things go wrong. */
const DEADLINE_MS = 15_000;
/** After the faults: until all calls have ended, and until everything is healed. */
const CALLS_END_MS = 60_000;
const HEALED_MS = 90_000;
const EVENTS_MAX = 200_000;
/** So many calls but those of logs are for files that are changed in place. */
const EDITOR_SHARE = 0.35;
/** Between two looks of the checks. */
const CHECK_MS = 200;

export interface SimulationRequest {
  readonly seed: number;
  readonly parts?: Parts;
  readonly traced?: boolean;
  /** Makes some circumstances likely. */
  readonly lens?: Lens;
  readonly change?: (options: ClusterOptions) => ClusterOptions;
}

/** What a run that found nothing wrong amounted to. */
export interface SimulationReport {
  readonly seed: number;
  readonly options: ClusterOptions;
  readonly events: number;
  readonly virtualMs: number;
  readonly puts: number;
  readonly reads: number;
  readonly appends: number;
  /** Changes in place that were stored. */
  readonly edits: number;
  readonly crashes: number;
  /** Virtual time from the last fault until everything was whole again. */
  readonly healedMs: number;
  readonly jobsDone: number;
  /** Masters that lost what they knew, and have a successor. */
  readonly mastersReplaced: number;
  readonly trace: readonly string[];
}

/** A run that found something: with all that is needed to see it again. */
export class SimulationFailure extends Error {
  override readonly name = "SimulationFailure";
  readonly trace: readonly string[];

  constructor(
    readonly seed: number,
    { options, lens }: { readonly options: ClusterOptions; readonly lens: Lens | undefined },
    world: World,
    override readonly cause: unknown,
  ) {
    const what = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    const through = lens === undefined ? "" : ` --lens ${lens}`;
    super(
      `Seed ${seed} fails at ${world.now.toFixed(3)} ms: ${what}\n` +
        `  again: npm run sim -- cluster --seed ${seed} --runs 1 --trace${through}\n` +
        `  options: ${JSON.stringify(options)}`,
    );
    this.trace = world.trace;
  }

  /** The broken property, or "crash" for anything else that was thrown. */
  get property(): string {
    return this.cause instanceof Violation ? this.cause.property : "crash";
  }
}

/**
 * Runs one seed.
 *
 * @throws SimulationFailure if a property is broken or the product throws what it should not.
 */
export async function simulate(request: SimulationRequest): Promise<SimulationReport> {
  const { seed, parts = REAL_PARTS, lens, change = asDrawn } = request;
  const focus = lens === undefined ? asDrawn : LENSES[lens];
  const options = change(focus(drawOptions(new SeededRandom(seed, "options"))));
  // Loads a library from the real disk, which takes real time: not in the middle of a life.
  await openMetrics({}, { ofProcess: false });
  const world = new World(seed, { traced: request.traced ?? false, immediates: true });
  const victims = drawVictims(options, new SeededRandom(seed, "victims"));
  const configs = await chunkserverConfigs(options, victims);
  const cluster = new Cluster(world, options, { configs, victims }, parts);
  const simulation = new Simulation(cluster);
  const unheard = (error: unknown): void => world.fail(error);
  process.on("unhandledRejection", unheard); // in a process of its own it would be its end
  try {
    const figures = await simulation.live();
    return { seed, options, trace: world.trace, ...figures };
  } catch (cause) {
    throw new SimulationFailure(seed, { options, lens }, world, cause);
  } finally {
    process.off("unhandledRejection", unheard);
    simulation.end();
  }
}

function pause(run: Run, ms: number): Promise<void> {
  return new Promise((resolve) => run.clock.after(ms, resolve));
}

function asDrawn(options: ClusterOptions): ClusterOptions {
  return options;
}

class Simulation {
  readonly #world: World;
  readonly #cluster: Cluster;
  readonly #files: FileWorkload;
  readonly #logs: LogWorkload;
  readonly #editors: EditorWorkload;
  readonly #caretaker: Caretaker;
  readonly #checks: ReplicaChecks;
  readonly #nemesis: Nemesis;
  #isStopping = false;
  #underWay = 0;
  #isAudited = false;
  /** For people, if it never ends. */
  #lastRefusal: unknown;

  constructor(cluster: Cluster) {
    const { world, options } = cluster;
    const now = (): number => world.now;
    this.#world = world;
    this.#cluster = cluster;
    const { logs, replicas, editedFiles, faults } = options;
    const wishes = { ...options, deadlineMs: DEADLINE_MS };
    const ledger = new Ledger(now);
    this.#files = new FileWorkload(ledger, wishes, now);
    this.#logs = new LogWorkload({
      ...{ paths: logs, replicas, deadlineMs: DEADLINE_MS },
      mayReadStale: () => faults.warpMs !== undefined && cluster.mayFail,
    });
    this.#editors = new EditorWorkload(ledger, {
      ...{ paths: editedFiles, replicas, deadlineMs: DEADLINE_MS },
    });
    this.#caretaker = new Caretaker({ cluster, expected: (error) => this.#files.expected(error) });
    this.#checks = new ReplicaChecks(cluster);
    this.#nemesis = new Nemesis(cluster);
  }

  async live(): Promise<Omit<SimulationReport, "seed" | "options" | "trace">> {
    const { options } = this.#cluster;
    this.#cluster.start();
    const founder = this.#cluster.addClient("founder", (client) => this.#found(client));
    founder.start();
    this.#checks.begin(CHECK_MS);
    await this.#until(() => 0 < this.#cluster.clients.length - 1, CALLS_END_MS, "it is set up");
    this.#nemesis.begin();
    await this.#world.run(() => false, { timeMs: this.#world.now + options.faultyMs });
    this.#isStopping = true;
    this.#nemesis.end();
    const healing = this.#world.now;
    const isCalm = (): boolean => this.#underWay === 0 && !this.#caretaker.isBusy;
    await this.#until(isCalm, CALLS_END_MS, "all calls have ended");
    this.#cluster.addClient("auditor", (client) => this.#audit(client)).start();
    await this.#until(() => this.#isAudited, HEALED_MS, "everything is whole again");
    this.#files.ledger.check();
    return {
      events: this.#world.events,
      virtualMs: this.#world.now,
      puts: this.#files.ledger.acknowledged,
      reads: this.#files.ledger.reads,
      appends: this.#logs.appended,
      edits: this.#editors.synced,
      crashes: this.#cluster.all.reduce((sum, { crashes }) => sum + crashes, 0),
      healedMs: this.#world.now - healing,
      jobsDone: this.#checks.jobsDone,
      mastersReplaced: this.#caretaker.replaced,
    };
  }

  /** All processes end: nothing of this life goes on in the next one. */
  end(): void {
    for (const machine of this.#cluster.all) machine.run?.lifetime.end();
  }

  async #found(client: Lumeo): Promise<void> {
    await this.#guard(async () => {
      await this.#insist(async () => {
        await client.ready();
        await this.#files.setUp(client);
      });
      for (let i = 1; i <= this.#cluster.options.clients; i++) {
        this.#cluster.addClient(`c${i}`, (own, run) => this.#work(own, run)).start();
      }
      const { operatorMs, masterRotMs, masterWipeMs } = this.#cluster.options.faults;
      if (masterRotMs !== undefined || masterWipeMs !== undefined) {
        this.#cluster.addClient("caretaker", (own, run) => this.#care(own, run)).start();
      }
      if (operatorMs === undefined) return;
      this.#cluster
        .addClient("operator", (own, run) => this.#operate(own, run, operatorMs))
        .start();
    });
  }

  /** What each client does until the end, or its own. */
  async #work(client: Lumeo, run: Run): Promise<void> {
    const { thinkMsMean } = this.#cluster.options;
    const { random } = run;
    const hand = { random, pause: (ms: number) => pause(run, ms) };
    while (!this.#isStopping && !this.#files.isEnough) {
      await pause(run, -Math.log(1 - random.fraction()) * thinkMsMean);
      if (this.#isStopping) return;
      this.#underWay++;
      const left = this.#leaveOnce(run);
      await this.#guard(() => this.#step(client, hand));
      left();
    }
  }

  /** One call, or what is done to one open file, whatever its end. */
  async #step(client: Lumeo, hand: Hand): Promise<void> {
    const { logs, logShare, editedFiles } = this.#cluster.options;
    const isOfLogs = hand.random.fraction() < logShare && 0 < logs;
    const isOfEditors = 0 < editedFiles && hand.random.fraction() < EDITOR_SHARE;
    const step = isOfLogs
      ? this.#logs.step(client, hand.random)
      : isOfEditors
        ? this.#editors.step(client, hand)
        : this.#files.step(client, hand);
    await step.catch((error: unknown) => this.#files.expected(error));
  }

  #care(client: Lumeo, run: Run): Promise<void> {
    return this.#guard(() => this.#caretaker.work(client, (ms) => pause(run, ms)));
  }

  async #operate(client: Lumeo, run: Run, pauseMs: number): Promise<void> {
    const { replicas, code } = this.#cluster.options;
    const { paths } = this.#files;
    while (!this.#isStopping) {
      await pause(run, -Math.log(1 - run.random.fraction()) * pauseMs);
      if (this.#isStopping) return;
      this.#underWay++;
      const left = this.#leaveOnce(run);
      const options = { replicas, code, paths, deadlineMs: DEADLINE_MS };
      await this.#guard(() =>
        operate(client, run.random, options).catch((error: unknown) => this.#files.expected(error)),
      );
      left();
    }
  }

  /** A call is under way no longer when it ends, or when its process does. */
  #leaveOnce(run: Run): () => void {
    let isLeft = false;
    const leave = (): void => {
      if (isLeft) return;
      isLeft = true;
      this.#underWay--;
    };
    run.whenEnded(leave);
    return leave;
  }

  /** Everything is read and looked at, again and again, until nothing is left to heal. */
  async #audit(client: Lumeo): Promise<void> {
    await this.#guard(async () => {
      await this.#insist(() => this.#readAll(client));
      await this.#insist(() => takeAllBack(client));
      await this.#checks.untilWhole();
      await this.#readAll(client);
      this.#isAudited = true;
    });
  }

  async #readAll(client: Lumeo): Promise<void> {
    await this.#files.readAll(client);
    await this.#logs.readAll(client);
    await this.#editors.readAll(client);
  }

  /** Whatever the beginning of a cluster, or its healing, still refuses. */
  async #insist(act: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await act();
      } catch (error) {
        this.#files.expected(error);
        this.#lastRefusal = error;
      }
    }
  }

  async #guard(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#world.fail(error);
    }
  }

  async #until(condition: () => boolean, withinMs: number, what: string): Promise<void> {
    const timeMs = this.#world.now + withinMs;
    const end = await this.#world.run(condition, { timeMs, events: EVENTS_MAX });
    if (end === "condition") return;
    const why = `it should be that ${what}, but is not after ${withinMs} ms (${end})`;
    throw new Violation("liveness", `${why}; ${this.#checks.missing}; ${this.#lastRefusal}`);
  }
}
