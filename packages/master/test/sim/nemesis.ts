// Whoever makes things go wrong: each kind of fault comes at random times and goes after a while.

import { integerBetween, type SeededRandom } from "@lumeofs/base";
import {
  FaultSchedule,
  PARTITION_MODES,
  partition,
  type SimNetwork,
  shuffled,
  type World,
} from "@lumeofs/testkit";
import type { Cast } from "./cast.js";
import { changeMembership, handOver } from "./group-nemesis.js";
import type { Member } from "./member.js";
import type { SwarmOptions } from "./options.js";
import type { Parcel } from "./sim-links.js";

const FAULT_MS_MAX = 1_200;
const RESTART_MS_MAX = 800;
/** A dead process is noticed and started again after about this long. */
const WATCH_MS = 200;
/** Between two steps of a swizzle. */
const SWIZZLE_STEP_MS_MAX = 100;
const WALL_JUMP_MS_MAX = 3_600_000;

export interface NemesisParts {
  readonly world: World;
  readonly cast: Cast;
  readonly network: SimNetwork<Parcel>;
  readonly options: SwarmOptions;
}

export class Nemesis {
  readonly #dead = new Set<Member>();
  readonly #schedule: FaultSchedule;
  readonly #world: World;
  readonly #cast: Cast;
  readonly #network: SimNetwork<Parcel>;
  readonly #options: SwarmOptions;

  constructor({ world, cast, network, options }: NemesisParts) {
    this.#world = world;
    this.#schedule = new FaultSchedule(world, FAULT_MS_MAX);
    this.#cast = cast;
    this.#network = network;
    this.#options = options;
  }

  /** Faults begin. From now on processes that have ended are started again. */
  begin(): void {
    const { faults } = this.#options;
    this.#schedule.often("partition", faults.partitionMs, (random) => this.#partition(random));
    this.#schedule.often("clog", faults.clogMs, (random) => this.#clog(random));
    this.#schedule.often("swizzle", faults.swizzleMs, (random) => this.#swizzle(random));
    this.#schedule.often("break", faults.breakMs, (random) => this.#break(random));
    this.#schedule.often("crash", faults.crashMs, (random) => this.#any(random).crash());
    this.#schedule.often("pause", faults.pauseMs, (random) => this.#pause(random));
    this.#schedule.often("jump", faults.wallJumpMs, (random) => {
      this.#any(random).clock?.jumpWall((2 * random.fraction() - 1) * WALL_JUMP_MS_MAX);
    });
    this.#beginDiskFaults();
    const { world, cast } = { world: this.#world, cast: this.#cast };
    this.#schedule.often("membership", faults.membershipMs, (random) => {
      const added = changeMembership(world, cast, random);
      if (added !== undefined) this.#revive(added);
    });
    this.#schedule.often("handover", faults.handoverMs, (random) => handOver(world, cast, random));
    this.#schedule.often("lag", faults.lagMs, (random) => this.#lag(random));
    for (const member of this.#cast.all) this.#revive(member);
  }

  /** Nothing new goes wrong; what is wrong is mended, for these members at least. */
  end(healed: readonly Member[]): void {
    this.#schedule.end();
    this.#network.heal();
    this.#network.settings = { ...this.#network.settings, loss: 0, duplicate: 0 };
    for (const member of this.#cast.all) {
      member.io.settings = { ...member.io.settings, failureRate: 0, crashRate: 0 };
      if (!healed.includes(member)) {
        this.#dead.add(member);
        member.crash();
        continue;
      }
      member.io.slowDown(1);
      member.io.free();
      member.resume();
      if (!member.isUp) member.start();
    }
  }

  #beginDiskFaults(): void {
    const { faults } = this.#options;
    this.#schedule.often("stall", faults.stallMs, (random) => {
      this.#any(random).io.stallUntil(this.#world.now + random.fraction() * FAULT_MS_MAX);
    });
    this.#schedule.often("slow", faults.slowMs, (random) => {
      this.#any(random).io.slowDown(random.fraction() < 0.5 ? 1 : 20 * random.fraction());
    });
    this.#schedule.often("full", faults.fullMs, (random) => {
      this.#any(random).io.fillUntil(this.#world.now + random.fraction() * FAULT_MS_MAX);
    });
    this.#schedule.often("rot", faults.rotMs, (random) => {
      const member = this.#any(random);
      if (this.#cast.mayLose(member)) member.rot(random);
    });
    this.#schedule.often("wipe", faults.wipeMs, (random) => {
      const member = this.#any(random);
      if (this.#cast.mayLose(member)) member.lose();
    });
  }

  #revive(member: Member): void {
    const random = this.#world.random(`revive ${member.name}`);
    const isGone = (): boolean => this.#dead.has(member) || member.fate !== "living";
    const look = (): void => {
      if (isGone()) return;
      if (member.isUp) {
        this.#world.after(WATCH_MS, look);
        return;
      }
      this.#world.after(random.fraction() * RESTART_MS_MAX, () => {
        if (isGone()) return;
        if (!member.isUp) member.start();
        look();
      });
    };
    look();
  }

  #partition(random: SeededRandom): void {
    const names = this.#cast.living.map((member) => member.name);
    if (names.length < 2) return;
    const mode = PARTITION_MODES[integerBetween(random, 0, PARTITION_MODES.length - 1)] ?? "split";
    this.#network.heal();
    const victim = this.#any(random).name;
    for (const [from, to] of partition(mode, names, random, victim)) this.#network.cut(from, to);
    this.#schedule.later(random, () => this.#network.heal());
  }

  #pause(random: SeededRandom): void {
    const member = this.#any(random);
    member.pause();
    this.#schedule.later(random, () => member.resume());
  }

  #clog(random: SeededRandom): void {
    const [from, to] = this.#anyLink(random);
    this.#network.clog(from, to, this.#world.now + random.fraction() * FAULT_MS_MAX);
  }

  /** Some links clog one after the other, and come free in another order. */
  #swizzle(random: SeededRandom): void {
    const names = this.#cast.living.map((member) => member.name);
    const links = names.flatMap((from) => names.map((to) => [from, to] as const));
    const chosen = links.filter(() => random.fraction() < 0.4);
    const freed = shuffled(
      chosen.map((_, i) => i),
      random,
    );
    const step = random.fraction() * SWIZZLE_STEP_MS_MAX;
    for (const [i, [from, to]] of chosen.entries()) {
      const until = this.#world.now + (chosen.length + (freed[i] ?? 0)) * step;
      this.#schedule.after(i * step, () => this.#network.clog(from, to, until));
    }
  }

  /** Answers to the leader are held back for about an election; soon they are all that it hears. */
  #lag(random: SeededRandom): void {
    const { leader, living } = this.#cast;
    if (leader === undefined) return;
    const { raft, tickMs } = this.#options;
    const electionMs = raft.electionTicks * tickMs;
    const others = living.filter((member) => member !== leader);
    const deafMs = 0.6 * random.fraction() * electionMs;
    const until = this.#world.now + deafMs + (0.5 + 0.7 * random.fraction()) * electionMs;
    for (const { name } of others) this.#network.clog(name, leader.name, until);
    this.#schedule.after(deafMs, () => {
      for (const { name } of others) {
        this.#network.cut(leader.name, name);
        this.#network.cut(name, leader.name); // what is held back still arrives
      }
    });
    this.#schedule.after(deafMs + 3 * electionMs, () => this.#network.heal());
  }

  #break(random: SeededRandom): void {
    const [from, to] = this.#anyLink(random);
    if (!this.#network.breakStream(from, to) || random.fraction() < 0.3) return;
    this.#cast.find(from)?.streamBroken(to);
  }

  #any(random: SeededRandom): Member {
    if (random.fraction() < this.#options.leaderBias) {
      const { leader } = this.#cast;
      if (leader !== undefined) return leader;
    }
    const { living } = this.#cast;
    return living[integerBetween(random, 0, living.length - 1)] as Member;
  }

  #anyLink(random: SeededRandom): readonly [from: Member["name"], to: Member["name"]] {
    const [one, other] = [this.#any(random).name, this.#any(random).name];
    return random.fraction() < 0.5 ? [one, other] : [other, one];
  }
}
