// Whoever makes things go wrong: each kind of fault comes at random times and goes after a while.

import { integerBetween, type NodeId, type SeededRandom } from "@lumeofs/base";
import { PARTITION_MODES, partition, type SimNetwork, type World } from "@lumeofs/testkit";
import type { Member } from "./member.js";
import type { FaultPause, SwarmOptions } from "./options.js";
import type { Parcel } from "./sim-links.js";

const FAULT_MS_MAX = 1_200;
const RESTART_MS_MAX = 800;
/** A dead process is noticed and started again after about this long. */
const WATCH_MS = 200;

export class Nemesis {
  #isOver = false;
  readonly #dead = new Set<Member>();
  readonly #world: World;
  readonly #members: readonly Member[];
  readonly #network: SimNetwork<Parcel>;
  readonly #options: SwarmOptions;

  constructor(
    world: World,
    members: readonly Member[],
    network: SimNetwork<Parcel>,
    options: SwarmOptions,
  ) {
    this.#world = world;
    this.#members = members;
    this.#network = network;
    this.#options = options;
  }

  /** Faults begin. From now on processes that have ended are started again. */
  begin(): void {
    const { faults } = this.#options;
    this.#often("partition", faults.partitionMs, (random) => this.#partition(random));
    this.#often("crash", faults.crashMs, (random) => this.#any(random).crash());
    this.#often("pause", faults.pauseMs, (random) => this.#pause(random));
    this.#often("clog", faults.clogMs, (random) => this.#clog(random));
    this.#often("break", faults.breakMs, (random) => this.#break(random));
    this.#often("stall", faults.stallMs, (random) => {
      this.#any(random).io.stallUntil(this.#world.now + random.fraction() * FAULT_MS_MAX);
    });
    this.#often("slow", faults.slowMs, (random) => {
      this.#any(random).io.slowDown(random.fraction() < 0.5 ? 1 : 20 * random.fraction());
    });
    this.#often("jump", faults.wallJumpMs, (random) => {
      this.#any(random).clock?.jumpWall((random.fraction() - 0.5) * 7_200_000);
    });
    for (const member of this.#members) this.#revive(member);
  }

  /** Nothing new goes wrong; what is wrong is mended, for these members at least. */
  end(healed: readonly Member[]): void {
    this.#isOver = true;
    this.#network.heal();
    this.#network.settings = { ...this.#network.settings, loss: 0, duplicate: 0 };
    for (const member of this.#members) {
      member.io.settings = { ...member.io.settings, failureRate: 0, crashRate: 0 };
      if (!healed.includes(member)) {
        this.#dead.add(member);
        member.crash();
        continue;
      }
      member.io.slowDown(1);
      member.resume();
      if (!member.isUp) member.start();
    }
  }

  #often(kind: string, pauseMs: FaultPause, act: (random: SeededRandom) => void): void {
    if (pauseMs === undefined) return;
    const random = this.#world.random(`nemesis ${kind}`);
    const next = (): void => {
      this.#world.after(-Math.log(1 - random.fraction()) * pauseMs, () => {
        if (this.#isOver) return;
        this.#world.record(() => `fault: ${kind}`);
        act(random);
        next();
      });
    };
    next();
  }

  #revive(member: Member): void {
    const random = this.#world.random(`revive ${member.name}`);
    const look = (): void => {
      if (this.#dead.has(member)) return;
      if (member.isUp) {
        this.#world.after(WATCH_MS, look);
        return;
      }
      this.#world.after(random.fraction() * RESTART_MS_MAX, () => {
        if (this.#dead.has(member)) return;
        if (!member.isUp) member.start();
        look();
      });
    };
    look();
  }

  #partition(random: SeededRandom): void {
    const names = this.#members.map((member) => member.name);
    if (names.length < 2) return;
    const mode = PARTITION_MODES[integerBetween(random, 0, PARTITION_MODES.length - 1)] ?? "split";
    this.#network.heal();
    const victim = this.#any(random).name;
    for (const [from, to] of partition(mode, names, random, victim)) this.#network.cut(from, to);
    this.#later(random, () => this.#network.heal());
  }

  #pause(random: SeededRandom): void {
    const member = this.#any(random);
    member.pause();
    this.#later(random, () => member.resume());
  }

  #clog(random: SeededRandom): void {
    const [from, to] = this.#anyLink(random);
    this.#network.clog(from, to, this.#world.now + random.fraction() * FAULT_MS_MAX);
  }

  #break(random: SeededRandom): void {
    const [from, to] = this.#anyLink(random);
    if (!this.#network.breakStream(from, to) || random.fraction() < 0.3) return;
    this.#members.find((member) => member.name === from)?.streamBroken(to);
  }

  #later(random: SeededRandom, act: () => void): void {
    this.#world.after(random.fraction() * FAULT_MS_MAX, () => {
      if (!this.#isOver) act();
    });
  }

  #any(random: SeededRandom): Member {
    if (random.fraction() < this.#options.leaderBias) {
      const leading = this.#members.filter((member) => member.standing?.role === "leader");
      leading.sort((a, b) => (b.standing?.term ?? 0) - (a.standing?.term ?? 0));
      if (leading[0] !== undefined) return leading[0];
    }
    return this.#members[integerBetween(random, 0, this.#members.length - 1)] as Member;
  }

  #anyLink(random: SeededRandom): readonly [from: NodeId, to: NodeId] {
    const [one, other] = [this.#any(random).name, this.#any(random).name];
    return random.fraction() < 0.5 ? [one, other] : [other, one];
  }
}
