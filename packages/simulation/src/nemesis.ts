// Whoever makes things go wrong: each kind of fault comes at random times and goes after a while.
// What disks may lose for good is in atlas.ts; else nothing is lost but what was never synced.

import { integerBetween, type SeededRandom } from "@lumeofs/base";
import { FaultSchedule, PARTITION_MODES, partition, type World } from "@lumeofs/testkit";
import { isKnown, masterThatMayLose, mayLose } from "./atlas.js";
import { isOfFailedStore } from "./checks/violation.js";
import type { Cluster } from "./cluster.js";
import type { ChunkserverMachine } from "./machine/chunkserver-machine.js";
import type { Machine } from "./machine/machine.js";

const FAULT_MS_MAX = 3_000;
/** A process that stood still for so long has been given up by everybody. */
const PAUSE_MS_MAX = 12_000;
const WALL_JUMP_MS_MAX = 20_000;
/** Clocks run at a third to three times their speed. */
const WARP_MAX = 3;
const LEAP_MS_MAX = 8_000;
const LEAP_SHARE = 0.4;
const SLOW_FACTOR_MAX = 30;
const LEADER_SHARE = 0.7;
/** Long enough for the others to elect. */
const SCHISM_MS_MIN = 1_500;

export class Nemesis {
  readonly #schedule: FaultSchedule;
  readonly #world: World;
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#world = cluster.world;
    this.#schedule = new FaultSchedule(cluster.world, FAULT_MS_MAX);
    this.#cluster = cluster;
  }

  begin(): void {
    const { faults } = this.#cluster.options;
    this.#schedule.often("kill", faults.killMs, (random) => this.#any(random).kill());
    this.#schedule.often("power", faults.powerMs, (random) => {
      this.#any(random).losePower(random.fraction() < 0.4 ? "none" : "some");
    });
    this.#schedule.often("blackout", faults.blackoutMs, (random) => this.#blackout(random));
    this.#schedule.often("pause", faults.pauseMs, (random) => this.#pause(random));
    this.#schedule.often("partition", faults.partitionMs, (random) => this.#partition(random));
    this.#schedule.often("schism", faults.schismMs, (random) => this.#schism(random));
    this.#schedule.often("clog", faults.clogMs, (random) => this.#clog(random));
    this.#schedule.often("break", faults.breakMs, (random) => this.#break(random));
    this.#schedule.often("jump", faults.jumpMs, (random) => {
      this.#any(random).jumpWall((2 * random.fraction() - 1) * WALL_JUMP_MS_MAX);
    });
    this.#schedule.often("suspend", faults.suspendMs, (random) => this.#suspend(random));
    this.#schedule.often("warp", faults.warpMs, (random) => this.#warp(random));
    this.#beginDiskFaults();
    this.#beginLosses();
  }

  /** Nothing new goes wrong; what is wrong is mended, except for what has been lost. */
  end(): void {
    this.#schedule.end();
    this.#cluster.mayFail = false;
    this.#cluster.links.heal();
    for (const machine of this.#cluster.all) {
      machine.slowFactor = 1;
      machine.fullUntil = 0;
      if (!this.#isChunkserver(machine)) machine.letGo();
      machine.resume();
      machine.calm();
      machine.start();
    }
    for (const machine of this.#cluster.victims) {
      machine.returnDisk(machine.name.length % 2 === 0);
    }
  }

  #beginDiskFaults(): void {
    const { faults } = this.#cluster.options;
    this.#schedule.often("disk failure", faults.diskFailureMs, (random) =>
      this.#storing(random).failDisk(),
    );
    this.#schedule.often("slow", faults.slowMs, (random) => {
      const machine = this.#any(random);
      machine.slowFactor = 1 + SLOW_FACTOR_MAX * random.fraction();
      this.#schedule.later(random, () => {
        machine.slowFactor = 1;
      });
    });
    this.#schedule.often("hang", faults.hangMs, (random) => this.#hang(random));
    this.#schedule.often("full", faults.fullMs, (random) => {
      this.#storing(random).fullUntil = this.#world.now + random.fraction() * FAULT_MS_MAX;
    });
  }

  /** Of several disks the weak one hangs, for the masters count it as lost in the end. */
  #hang(random: SeededRandom): void {
    const machine = this.#storing(random);
    if (machine.disks.length === 1) {
      machine.hang();
      // A chunkserver gives its disk up by itself, a master does not.
      const isForGood = this.#isChunkserver(machine) && random.fraction() < 0.5;
      if (!isForGood) this.#schedule.later(random, () => machine.letGo());
      return;
    }
    this.#harm(random, (victim) => {
      victim.hangDisk();
      if (random.fraction() < 0.5) this.#schedule.later(random, () => victim.letGo());
    });
  }

  #isChunkserver(machine: Machine): boolean {
    return this.#cluster.chunkservers.some((one) => one === machine);
  }

  /** What is gone for good, within the atlas. */
  #beginLosses(): void {
    const { faults } = this.#cluster.options;
    this.#schedule.often("drop", faults.dropMs, (random) => {
      this.#harm(random, (machine) => {
        machine.dropChunk(random).catch((error: unknown) => this.#storeMayFail(error));
      });
    });
    this.#schedule.often("flip", faults.flipMs, (random) => {
      this.#harm(random, (machine) => machine.flipBit(random));
    });
    this.#schedule.often("wipe", faults.wipeMs, (random) => {
      this.#harm(random, (machine) => machine.wipe());
    });
    this.#schedule.often("disk loss", faults.diskLossMs, (random) => {
      this.#harm(random, (machine) => {
        machine.loseDisk();
        this.#schedule.later(random, () => machine.returnDisk(random.fraction() < 0.5));
      });
    });
    this.#schedule.often("master rot", faults.masterRotMs, (random) => {
      masterThatMayLose(this.#cluster, random.fraction())?.rot(random);
    });
    this.#schedule.often("master wipe", faults.masterWipeMs, (random) => {
      const master = masterThatMayLose(this.#cluster, random.fraction());
      if (master !== undefined && isKnown(this.#cluster, master)) master.wipe();
    });
  }

  /** The whole room or all chunkservers at the same moment: without power, or all are killed. */
  #blackout(random: SeededRandom): void {
    const { all, chunkservers } = this.#cluster;
    const machines = random.fraction() < 0.4 ? all : chunkservers;
    if (random.fraction() < 0.4) {
      for (const machine of machines) machine.kill();
      return;
    }
    for (const machine of machines) machine.losePower(random.fraction() < 0.6 ? "none" : "some");
  }

  #pause(random: SeededRandom): void {
    const machine = this.#any(random);
    machine.pause();
    const ms = PAUSE_MS_MAX * random.fraction() ** 2;
    this.#schedule.after(ms, () => machine.resume());
  }

  #suspend(random: SeededRandom): void {
    const machine = this.#any(random);
    machine.suspend();
    this.#schedule.after(PAUSE_MS_MAX * random.fraction() ** 2, () => machine.resume());
  }

  /** A clock that no lease allows for: too fast, too slow, or ahead all at once. */
  #warp(random: SeededRandom): void {
    const machine = this.#any(random);
    if (random.fraction() < LEAP_SHARE) {
      machine.jumpMonotonic(LEAP_MS_MAX * random.fraction());
      return;
    }
    machine.warp(WARP_MAX ** (2 * random.fraction() - 1));
    this.#schedule.later(random, () => machine.calm());
  }

  #partition(random: SeededRandom): void {
    const { links, all } = this.#cluster;
    const names = all.map(({ name }) => name);
    const mode = PARTITION_MODES[integerBetween(random, 0, PARTITION_MODES.length - 1)] ?? "split";
    links.heal();
    const victim = this.#any(random).name;
    for (const [from, to] of partition(mode, names, random, victim)) links.cut(from, to);
    this.#schedule.later(random, () => links.heal());
  }

  /** One master does not hear the others, nor they it; mostly the one that leads. */
  #schism(random: SeededRandom): void {
    const { links, masters, leader } = this.#cluster;
    const any = masters[integerBetween(random, 0, masters.length - 1)];
    const lone = random.fraction() < LEADER_SHARE ? (leader ?? any) : any;
    if (lone === undefined) return;
    for (const { name } of masters) {
      if (name === lone.name) continue;
      links.cut(lone.name, name);
      links.cut(name, lone.name);
    }
    this.#schedule.after(SCHISM_MS_MIN + random.fraction() * FAULT_MS_MAX, () => links.heal());
  }

  #clog(random: SeededRandom): void {
    const until = this.#world.now + random.fraction() * FAULT_MS_MAX;
    this.#cluster.links.clog(this.#any(random).name, this.#any(random).name, until);
  }

  #break(random: SeededRandom): void {
    const [one, other] = [this.#any(random).name, this.#any(random).name];
    const { calls, bytes } = this.#cluster;
    if (!bytes.breakOne(one, other, random)) calls.breakOne(one, other, random);
  }

  #any(random: SeededRandom): Machine {
    const { all } = this.#cluster;
    return all[integerBetween(random, 0, all.length - 1)] as Machine;
  }

  /** Whoever has a disk that counts. */
  #storing(random: SeededRandom): Machine {
    const { chunkservers, masters } = this.#cluster;
    const all = [...chunkservers, ...masters.filter(({ isRetired }) => !isRetired)];
    return all[integerBetween(random, 0, all.length - 1)] as Machine;
  }

  /** A victim loses something, if it may. */
  #harm(random: SeededRandom, harm: (machine: ChunkserverMachine) => void): void {
    const { victims } = this.#cluster;
    const machine = victims[integerBetween(random, 0, Math.max(0, victims.length - 1))];
    if (machine === undefined) return;
    mayLose(this.#cluster, machine).then(
      (isSo) => {
        if (isSo && !this.#schedule.isOver) harm(machine);
      },
      (error: unknown) => this.#storeMayFail(error),
    );
  }

  #storeMayFail(error: unknown): void {
    if (!isOfFailedStore(error)) this.#world.fail(error);
  }
}
