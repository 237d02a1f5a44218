// One simulated life of a group of masters, from a seed: a time in which everything may go wrong,
// then a time in which nothing does and the group must come back.
//
// Safety is checked after every event (checker.ts) and on the history of all calls at the end.
// Liveness, after the last fault: within a bound there is a leader that serves a fresh write and a
// fresh read, every call under way has ended, and all living members have equal states (L1). Then
// one more machine is lost, and no call takes longer than its budget of virtual time (L2).

import { SeededRandom } from "@lumeofs/base";
import { SimNetwork, shuffled, World } from "@lumeofs/testkit";
import { Cast } from "./cast.js";
import { Checker, must, SafetyViolation } from "./checker.js";
import { Client, type ClientParcel } from "./client.js";
import { Member, type ShellKind } from "./member.js";
import { Nemesis } from "./nemesis.js";
import { drawOptions, LENSES, type Lens, type SwarmOptions } from "./options.js";
import { Outcomes } from "./outcomes.js";
import { type Parts, REAL_PARTS } from "./parts.js";
import { serve } from "./service.js";
import type { Parcel } from "./sim-links.js";
import { WORKLOADS, type WorkloadName } from "./workloads/all.js";
import type { Workload } from "./workloads/workload.js";

/** Virtual time in which a healed group must be well again, in election timeouts. */
const RECOVERY_TIMEOUTS = 60;
const RECOVERY_MS_MIN = 20_000;
/** A run with more events has run away. */
const EVENTS_MAX = 400_000;

/** So many calls are looks at any state, however old. */
const GLANCE_SHARE = 0.15;

/** L2: calls that each client makes when everything is well but one machine. */
const CALLS_WITHOUT_ONE = 8;
/** What a first call may take, in times that an election and all its messages take at worst. */
const FAILOVER_ELECTIONS = 15;
/** What the next ones may take, in mean times of a message and a write together. */
const STEADY_STEPS = 150;

export interface SimulationRequest {
  readonly seed: number;
  readonly shell?: ShellKind;
  readonly parts?: Parts;
  readonly traced?: boolean;
  readonly lens?: Lens;
  readonly change?: (options: SwarmOptions) => SwarmOptions;
}

/** What a run that found nothing wrong amounted to. */
export interface SimulationReport {
  readonly seed: number;
  readonly options: SwarmOptions;
  readonly events: number;
  readonly virtualMs: number;
  readonly calls: number;
  readonly committed: number;
  readonly elections: number;
  readonly crashes: number;
  /** Machines that were lost with their disks, or with damaged logs. */
  readonly lost: number;
  readonly truncations: number;
  readonly installs: number;
  /** Memberships that were put into a log. */
  readonly changes: number;
  /** Requests that reached the log again and got their first answer again. */
  readonly repeats: number;
  readonly trace: readonly string[];
}

/** A run that found something: with all that is needed to see it again. */
export class SimulationFailure extends Error {
  override readonly name = "SimulationFailure";
  readonly seed: number;
  readonly trace: readonly string[];

  constructor(
    run: {
      readonly seed: number;
      readonly shell: ShellKind;
      readonly lens: Lens | undefined;
      readonly options: SwarmOptions;
    },
    world: World,
    override readonly cause: unknown,
  ) {
    const what = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    const shell = run.shell === "driver" ? "" : ` --shell ${run.shell}`;
    const lens = run.lens === undefined ? "" : ` --lens ${run.lens}`;
    super(
      `Seed ${run.seed} fails at ${world.now.toFixed(3)} ms: ${what}\n` +
        `  again: pnpm sim --seed ${run.seed} --runs 1${shell}${lens} --trace\n` +
        `  options: ${JSON.stringify(run.options)}`,
    );
    this.seed = run.seed;
    this.trace = world.trace;
  }

  /** The broken property: S1 to S14, "liveness", or "crash" for anything else that was thrown. */
  get property(): string {
    return this.cause instanceof SafetyViolation ? this.cause.property : "crash";
  }
}

/**
 * Runs one seed.
 *
 * @throws SimulationFailure if a property is broken or the product throws what it should not.
 */
export async function simulate(request: SimulationRequest): Promise<SimulationReport> {
  const { seed, shell = "driver", parts = REAL_PARTS, lens, change = (o) => o } = request;
  const drawn = drawOptions(new SeededRandom(seed, "options"));
  const options = change(lens === undefined ? drawn : LENSES[lens](drawn));
  const world = new World(seed, { traced: request.traced ?? false });
  const simulation = new Simulation(world, options, { shell, parts });
  // Refusals are errors, and most of them are wanted: their stacks would take much of the time.
  const { stackTraceLimit } = Error;
  if (!world.isTraced) Error.stackTraceLimit = 0;
  try {
    await simulation.live();
  } catch (cause) {
    throw new SimulationFailure({ seed, shell, lens, options }, world, cause);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return { seed, options, trace: world.trace, ...simulation.figures };
}

class Simulation {
  readonly #world: World;
  readonly #options: SwarmOptions;
  readonly #checker: Checker;
  readonly #outcomes: Outcomes;
  /** Members that may have changed in the present event. */
  readonly #touched = new Set<Member>();
  readonly #network: SimNetwork<Parcel>;
  readonly #clientNetwork: SimNetwork<ClientParcel>;
  readonly #cast: Cast;
  readonly #clients: readonly Client[];
  readonly #workloads: ReadonlyMap<WorkloadName, Workload>;
  readonly #nemesis: Nemesis;
  /** Set when the faults are over. */
  #healed: readonly Member[] | undefined;
  #tags = 0;

  constructor(
    world: World,
    options: SwarmOptions,
    code: { readonly shell: ShellKind; readonly parts: Parts },
  ) {
    this.#world = world;
    this.#options = options;
    this.#checker = new Checker(options, () => world.now);
    this.#outcomes = new Outcomes({
      now: () => world.now,
      commit: () => this.#checker.commit,
      slowestClock: 1 - options.clockDrift,
    });
    this.#network = new SimNetwork(world, options.network);
    this.#clientNetwork = new SimNetwork(world, { ...options.network, reorder: true });
    const shared = {
      ...{ world, options, ...code },
      checker: this.#checker,
      outcomes: this.#outcomes,
      network: this.#network,
      touched: (member: Member) => this.#touched.add(member),
    };
    this.#cast = new Cast(options.members, this.#checker, (name, founders) => {
      const member = new Member(name, founders, shared);
      serve(member, this.#clientNetwork);
      return member;
    });
    this.#clients = Array.from({ length: options.clients }, (_, i) => this.#client(`c${i + 1}`));
    const parts = { world, options, outcomes: this.#outcomes, nextTag: () => ++this.#tags };
    this.#workloads = new Map(options.workloads.map((name) => [name, new WORKLOADS[name](parts)]));
    this.#nemesis = new Nemesis({ world, cast: this.#cast, network: this.#network, options });
    world.watch(() => this.#look());
  }

  get figures(): Omit<SimulationReport, "seed" | "options" | "trace"> {
    return {
      events: this.#world.events,
      virtualMs: this.#world.now,
      calls: [...this.#workloads.values()].reduce((sum, { count }) => sum + count, 0),
      lost: this.#cast.all.filter(({ fate }) => fate === "lost").length,
      crashes: this.#cast.all.reduce((sum, member) => sum + member.crashes, 0),
      ...this.#checker.counts,
      repeats: this.#outcomes.repeats,
    };
  }

  async live(): Promise<void> {
    for (const member of this.#cast.all) member.start();
    this.#nemesis.begin();
    const working = this.#guard(this.#work());
    await this.#until(() => this.#options.safetyMs <= this.#world.now, Infinity, "the faults end");
    await this.#recover(working);
    for (const workload of this.#workloads.values()) workload.check();
  }

  async #work(): Promise<void> {
    const [first] = this.#clients;
    if (first === undefined) return;
    await first.insist({ kind: "initCluster", clusterId: "simulated" });
    for (const workload of this.#workloads.values()) await workload.setUp(first);
    const kinds = [...this.#workloads.values()];
    const workOf = async (client: Client, workload: Workload): Promise<void> => {
      while (!client.isStopping) {
        await client.think();
        if (client.chance(GLANCE_SHARE)) await client.glance();
        else await workload.step(client);
      }
    };
    await Promise.all(
      this.#clients.map((client, i) => workOf(client, kinds[i % kinds.length] as Workload)),
    );
  }

  async #recover(working: { isDone: boolean }): Promise<void> {
    const healed = this.#chooseHealed();
    this.#healed = healed;
    this.#world.record(() => `healed: ${healed.map((member) => member.name).join()}`);
    this.#nemesis.end(healed);
    this.#clientNetwork.settings = { ...this.#clientNetwork.settings, loss: 0, duplicate: 0 };
    const electionMs = this.#options.raft.electionTicks * this.#options.tickMs;
    const slack = 20 * this.#options.network.delayMsMean + 20 * this.#options.io.latencyMsMean;
    const bound = Math.max(RECOVERY_MS_MIN, RECOVERY_TIMEOUTS * (electionMs + slack));
    for (const client of this.#clients) client.stop();
    await this.#until(() => working.isDone, bound, "every call under way has ended");
    const fresh = this.#guard(this.#writeAndRead());
    await this.#until(() => fresh.isDone, bound, "a fresh write and a fresh read are served");
    const isEqual = (): boolean => this.#areEqual(healed);
    await this.#until(isEqual, bound, "all living members have equal states");
    const quick = this.#guard(this.#workWithoutOne(electionMs + slack));
    await this.#until(() => quick.isDone, bound, "calls go on without one member");
  }

  /** L2: one more machine is lost, if the group can do without it, and nobody waits for long. */
  async #workWithoutOne(electionMs: number): Promise<void> {
    const random = this.#world.random("last loss");
    const { leader } = this.#cast;
    const others = shuffled(this.#serving, random);
    const choices = random.fraction() < 0.5 && leader !== undefined ? [leader, ...others] : others;
    const healed = this.#serving;
    const dead = new Set(this.#cast.living.filter((member) => !healed.includes(member)));
    const victim = choices.find((member) => this.#cast.mayLose(member, dead));
    victim?.lose();
    this.#healed = healed.filter((member) => member !== victim);
    const { io, network } = this.#options;
    const stepMs = network.delayMsMin + network.delayMsMean + io.latencyMsMin + io.latencyMsMean;
    const longestMs = FAILOVER_ELECTIONS * electionMs;
    const client = this.#client("last", { ...this.#options, abandonRate: 0, roamRate: 0 });
    for (let call = 0; call < CALLS_WITHOUT_ONE; call++) {
      for (const workload of this.#workloads.values()) {
        const beganMs = this.#world.now;
        await workload.finish(client);
        const tookMs = this.#world.now - beganMs;
        const steadyMs = STEADY_STEPS * stepMs + this.#options.timeoutMs;
        const limitMs = call === 0 ? longestMs : Math.min(longestMs, steadyMs);
        const what = (): string => `call ${call} took ${tookMs} ms, ${limitMs} are allowed`;
        must(tookMs <= limitMs, "L2", () => `without ${victim?.name ?? "anybody"} ${what()}`);
      }
    }
  }

  /** Who is whole in the end: everybody, or no more than the group needs. */
  #chooseHealed(): readonly Member[] {
    const random = this.#world.random("recovery");
    for (const member of this.#cast.living) if (member.isRotten) member.lose();
    if (this.#options.healsAll) return this.#cast.living;
    const given = new Set<Member>();
    for (const member of shuffled(this.#cast.living, random)) {
      if (!this.#cast.mayLose(member, given)) continue;
      given.add(member);
    }
    return this.#cast.living.filter((member) => !given.has(member));
  }

  async #writeAndRead(): Promise<void> {
    const client = this.#client("fresh", { ...this.#options, abandonRate: 0 });
    for (const workload of this.#workloads.values()) await workload.finish(client);
  }

  /** All who take part in the end have the same state, and it holds everything committed. */
  #areEqual(healed: readonly Member[]): boolean {
    const { commit } = this.#checker;
    const membership = this.#cast.leader?.standing?.membership;
    if (membership === undefined || 0 < membership.votersOutgoing.length) return false;
    const { voters, learners } = membership;
    const members = healed.filter(({ name }) => voters.includes(name) || learners.includes(name));
    const known = JSON.stringify([voters, learners]);
    return members.every((member) => {
      const { standing, digest } = member;
      const own = JSON.stringify([standing?.membership.voters, standing?.membership.learners]);
      return standing?.applied === commit && digest === members[0]?.digest && own === known;
    });
  }

  /** Where clients turn to: nobody turns for ever to a machine that never comes back. */
  get #serving(): readonly Member[] {
    return this.#healed ?? this.#cast.living;
  }

  #client(name: string, options: SwarmOptions = this.#options): Client {
    return new Client(name, {
      world: this.#world,
      network: this.#clientNetwork,
      masters: () => this.#serving.map((member) => member.name),
      options,
      outcomes: this.#outcomes,
    });
  }

  #look(): void {
    if (this.#touched.size === 0) return;
    for (const member of this.#touched) {
      const { standing } = member;
      if (standing !== undefined) this.#checker.observe(member.name, standing);
    }
    this.#touched.clear();
  }

  #guard(work: Promise<void>): { isDone: boolean } {
    const progress = { isDone: false };
    work.then(
      () => {
        progress.isDone = true;
      },
      (error: unknown) => this.#world.fail(error),
    );
    return progress;
  }

  async #until(condition: () => boolean, withinMs: number, what: string): Promise<void> {
    const timeMs = this.#world.now + withinMs;
    const end = await this.#world.run(condition, { timeMs, events: EVENTS_MAX });
    if (end === "condition") return;
    const standings = this.#cast.living.map(
      (member) => `${member.name} ${JSON.stringify(member.standing ?? "down")}`,
    );
    const why = `it should be that ${what}, but is not after ${withinMs} ms (${end})`;
    throw new SafetyViolation("liveness", `${why}; ${standings.join("; ")}`);
  }
}
