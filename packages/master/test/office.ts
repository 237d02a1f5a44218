// What the offices of tests have in common (healing-office.ts, conversion-office.ts): a leader with
// one duty and a state of its own, in virtual time, and machines whose heartbeats it hears.

import {
  type Alarm,
  type ChunkHandle,
  handleIn,
  monotonicMs,
  type ServerId,
  SILENT_LOGGER,
  serverId,
} from "@lumeofs/base";
import { Lifetime, SimClock, World } from "@lumeofs/testkit";
import { type Duty, DutyRunner } from "../src/duties/duty.js";
import { foundingDuty } from "../src/duties/founding-duty.js";
import { MetadataLog } from "../src/duties/metadata-log.js";
import { Fleet } from "../src/fleet/servers.js";
import type { Command, Reply } from "../src/metadata/command.js";
import { jobsPage } from "../src/metadata/healing-queries.js";
import type { Job } from "../src/metadata/jobs.js";
import { LoneReplication } from "./lone-replication.js";
import { registrationOf } from "./metadata-driver.js";

export const SECOND = 1_000;
const LOAD = {
  chunkCount: 0,
  usedBytes: 0,
  capacityBytes: 1e12,
  freeBytes: 1e12,
  isReadOnly: false,
  writesInFlight: 0,
};

export interface OfficeMachine {
  readonly id: ServerId;
  readonly name: string;
  isUp: boolean;
}

export abstract class Office<Machine extends OfficeMachine> {
  readonly world = new World(1);
  readonly clock = new SimClock(this.world, new Lifetime(this.world));
  readonly replication = new LoneReplication();
  readonly state = this.replication.state;
  readonly machines: Machine[] = [];
  readonly fleet = new Fleet(
    { suspectMs: 3 * SECOND, deadMs: 10 * SECOND, steadyMs: 10 * SECOND },
    monotonicMs(0),
  );
  readonly log = new MetadataLog({
    replication: this.replication,
    reader: this.state,
    clock: this.clock,
  });
  #runner: DutyRunner | undefined;

  /** What is new at a machine that comes into being. */
  protected abstract furnished(machine: OfficeMachine): Machine;

  /** What a machine says of its copies. */
  protected abstract heard(machine: Machine): {
    readonly damaged: readonly ChunkHandle[];
    readonly isFirst: boolean;
  };

  /** Once: from now on it works. */
  protected run(duty: Duty): void {
    const { log, clock: timers, replication } = this;
    const duties = [foundingDuty(log, "c"), duty];
    this.#runner = new DutyRunner(duties, { replication, timers, logger: SILENT_LOGGER });
  }

  /** Founds the cluster, registers the machines and hears them for a while. */
  protected async begin(
    names: readonly string[],
    racks: Readonly<Record<string, string>>,
    listenMs: number,
  ): Promise<void> {
    await this.world.sleep(10);
    for (const name of names) await this.#add(name, racks[name]);
    this.clock.every(SECOND, () => this.#beat());
    this.#beat();
    await this.world.sleep(listenMs);
  }

  async close(): Promise<void> {
    await this.#runner?.close();
  }

  async change(command: Command): Promise<Reply> {
    const reply = await this.log.change(command);
    if (reply.kind === "refused") throw new Error(reply.message);
    return reply;
  }

  /** Handles of one grant for these servers. */
  async allocate(members: readonly number[], count: number): Promise<ChunkHandle[]> {
    const placements = [members.map(serverId)];
    const reply = await this.change({ kind: "allocate", placements, handles: count });
    const grant = reply.kind === "allocated" ? reply.grants[0] : undefined;
    if (grant === undefined) throw new Error(reply.kind);
    return Array.from({ length: count }, (_, slot) => handleIn(grant, slot));
  }

  async jobs(): Promise<readonly Job[]> {
    return (await jobsPage(this.state, 0, 100)).map(({ job }) => job);
  }

  machine(id: number): Machine {
    const machine = this.machines.find((one) => one.id === id);
    if (machine === undefined) throw new Error(`there is no machine ${id}`);
    return machine;
  }

  down(id: number): void {
    this.machine(id).isUp = false;
    this.fleet.disconnected(serverId(id));
  }

  up(id: number): void {
    this.machine(id).isUp = true;
  }

  /** Two machines go for ever, each until the other one does. */
  goByTurns(one: number, other: number, everyMs: number): Alarm {
    let beat = 0;
    return this.clock.every(everyMs, () => {
      beat++;
      const [going, coming] = beat % 2 === 0 ? [one, other] : [other, one];
      this.down(going);
      if (1 < beat) this.up(coming);
    });
  }

  seconds(count: number): Promise<void> {
    return this.world.sleep(count * SECOND);
  }

  protected named(name: string): Machine {
    const machine = this.machines.find((one) => one.name === name);
    if (machine === undefined) throw new Error(`there is no machine ${name}`);
    return machine;
  }

  async #add(name: string, rack: string | undefined): Promise<void> {
    const labels: Readonly<Record<string, string>> = rack === undefined ? {} : { rack };
    const reply = await this.change(registrationOf(name, { labels }));
    if (reply.kind !== "registered") throw new Error(reply.kind);
    this.machines.push(this.furnished({ id: reply.server, name, isUp: true }));
  }

  #beat(): void {
    for (const machine of this.machines) {
      if (!machine.isUp) continue;
      const beat = { load: LOAD, ...this.heard(machine) };
      this.fleet.heartbeat(machine.id, beat, this.clock.monotonicMs());
    }
  }
}
