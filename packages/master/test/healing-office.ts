// A leader with its healing, a state of its own and chunkservers that are only maps of copies: for
// tests of healing in virtual time.

import {
  CELL_BYTES_MIN,
  type ChunkHandle,
  CODE_DEFAULT,
  type Code,
  type GrantId,
  grantOf,
  LumeoError,
  monotonicMs,
  type ServerId,
  SILENT_LOGGER,
  serverId,
  unitLength,
} from "@lumeofs/base";
import { Lifetime, SimClock, World } from "@lumeofs/testkit";
import { DutyRunner } from "../src/duties/duty.js";
import { foundingDuty } from "../src/duties/founding-duty.js";
import { HealingFigures } from "../src/duties/healing/figures.js";
import { healingDuty } from "../src/duties/healing/healing-duty.js";
import { MetadataLog } from "../src/duties/metadata-log.js";
import type {
  AuditOrder,
  AuditOutcome,
  CopyOrder,
  CopyOutcome,
  Orders,
  Verdict,
} from "../src/duties/orders.js";
import { Fleet } from "../src/fleet/servers.js";
import { getChunk } from "../src/metadata/chunk-table.js";
import type { Command, Reply } from "../src/metadata/command.js";
import { jobsPage } from "../src/metadata/healing-queries.js";
import type { Job } from "../src/metadata/jobs.js";
import type { Server } from "../src/metadata/servers.js";
import { LoneReplication } from "./lone-replication.js";
import { codedAs, commitOf, sealed } from "./metadata-driver.js";

const SECOND = 1_000;
/** Of the chunks of `file`. */
const CONTENT_CRC = sealed(64).crc32c;
export const LIMITS = {
  movesPerServer: 2,
  smallForOne: 1,
  movesMax: 64,
  bytesPerSecond: 1e9,
  repairAfterMs: 60 * SECOND,
  failureDomain: "rack",
};
const LOAD = {
  chunkCount: 0,
  usedBytes: 0,
  capacityBytes: 1e12,
  freeBytes: 1e12,
  isReadOnly: false,
  writesInFlight: 0,
};

export interface Machine {
  readonly id: ServerId;
  readonly name: string;
  readonly copies: Map<ChunkHandle, "good" | "damaged">;
  /** Checksums of these: which unit of a coded chunk one is. */
  readonly crcs: Map<ChunkHandle, number>;
  isUp: boolean;
  isFirstBeat: boolean;
}

export class HealingOffice implements Orders {
  readonly world = new World(1);
  readonly clock = new SimClock(this.world, new Lifetime(this.world));
  readonly replication = new LoneReplication();
  readonly state = this.replication.state;
  readonly machines: Machine[] = [];
  readonly seen = new HealingFigures();
  readonly fleet = new Fleet(
    { suspectMs: 3 * SECOND, deadMs: 10 * SECOND, steadyMs: 10 * SECOND },
    monotonicMs(0),
  );
  readonly log = new MetadataLog({
    replication: this.replication,
    reader: this.state,
    clock: this.clock,
  });
  /** Copies and audits in the order in which they were ordered. */
  readonly history: string[] = [];
  /** Mandates of the orders to copy, in their order. */
  readonly mandates: number[] = [];
  /** How long a copy takes. */
  copyMs = 10;
  /** The most copies that one machine made, or gave, at once. */
  mostAtOnce = 0;
  /** Orders that are to fail, by target. */
  readonly refusing = new Set<ServerId>();
  /** Handles of grants under which a machine has a chunk that may be in no file yet. */
  readonly written = new Set<ChunkHandle>();
  readonly #atWork = new Map<string, number>();
  readonly #runner: DutyRunner;

  constructor(limits = LIMITS) {
    const { log, clock, fleet, seen, replication } = this;
    const parts = { log, clock, fleet, orders: this, logger: SILENT_LOGGER, seen };
    this.#runner = new DutyRunner([foundingDuty(log, "c"), healingDuty(parts, limits)], {
      replication,
      timers: clock,
      logger: SILENT_LOGGER,
    });
  }

  async start(names: readonly string[], labels: Readonly<Record<string, string>> = {}) {
    await this.world.sleep(10);
    for (const name of names) await this.#add(name, labels[name]);
    this.clock.every(SECOND, () => this.#beat());
    this.#beat();
    await this.world.sleep(15 * SECOND);
  }

  close(): Promise<void> {
    return this.#runner.close();
  }

  async change(command: Command): Promise<Reply> {
    const reply = await this.log.change(command);
    if (reply.kind === "refused") throw new Error(reply.message);
    return reply;
  }

  /** A file of one chunk with its copies on these servers. */
  async file(path: string, members: readonly number[]): Promise<ChunkHandle> {
    const placements = [members.map(serverId)];
    const reply = await this.change({ kind: "allocate", placements, handles: 1 });
    if (reply.kind !== "allocated") throw new Error(reply.kind);
    const handle = ((reply.grants[0] as number) * 64) as ChunkHandle;
    await this.change(commitOf(path, [handle], {}));
    for (const member of members) this.#put(this.machine(member), handle, CONTENT_CRC);
    return handle;
  }

  /** A file of one chunk with its units on these servers; the checksum of a unit is its number. */
  async coded(
    path: string,
    members: readonly number[],
    lengthBytes: number,
    code: Code = { ...CODE_DEFAULT, cellBytes: CELL_BYTES_MIN },
  ): Promise<ChunkHandle> {
    const placements = [members.map(serverId)];
    const reply = await this.change({ kind: "allocate", placements, handles: 1 });
    if (reply.kind !== "allocated") throw new Error(reply.kind);
    const handle = ((reply.grants[0] as number) * 64) as ChunkHandle;
    const chunk = { ...codedAs(code, handle), lengthBytes };
    const file = { chunks: [chunk], chunkSizeBytes: lengthBytes, code };
    await this.change(commitOf(path, [handle], file));
    for (const [unit, member] of members.entries()) {
      if (unitLength(code, lengthBytes, unit) === 0) continue;
      this.#put(this.machine(member), handle, unit);
    }
    return handle;
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
    Object.assign(this.machine(id), { isUp: true, isFirstBeat: true });
  }

  damage(id: number, handle: ChunkHandle): void {
    this.machine(id).copies.set(handle, "damaged");
    this.fleet.markDamaged(serverId(id), handle);
  }

  members(handle: ChunkHandle): readonly number[] {
    return getChunk(this.state, handle)?.members ?? [];
  }

  async jobs(): Promise<readonly Job[]> {
    return (await jobsPage(this.state, 0, 100)).map(({ job }) => job);
  }

  seconds(count: number): Promise<void> {
    return this.world.sleep(count * SECOND);
  }

  async copyReplica(target: Server, order: CopyOrder): Promise<CopyOutcome> {
    const { handle, crc32c } = order.chunk;
    const to = this.#named(target.name);
    const sources = this.#sourcesOf(order);
    const unit = order.isUnit ? ` unit ${crc32c}` : "";
    const how = order.rebuild === undefined ? "copy" : "rebuild";
    this.mandates.push(order.mandate);
    this.history.push(`${how} ${handle}${unit} to ${target.name}`);
    if (this.refusing.has(to.id)) throw new LumeoError("NO_SPACE", "no room");
    if (!to.isUp) throw new LumeoError("UNAVAILABLE", "nobody answers");
    if (this.#hasGood(to.id, handle, crc32c)) return { kind: "here" };
    if (sources === undefined) return { kind: "noSource", why: "none", faults: [] };
    await this.#busy([`in ${to.id}`, ...sources.map((id) => `out ${id}`)]);
    order.signal?.throwIfAborted();
    if (!to.isUp) throw new LumeoError("CONNECTION_LOST", "it went away");
    this.#put(to, handle, crc32c);
    return { kind: "copied", readBytes: order.chunk.lengthBytes, faults: [] };
  }

  /** Who gives the bytes of a copy, or what it is rebuilt from; undefined if that is too little. */
  #sourcesOf({ chunk, sources, rebuild }: CopyOrder): readonly ServerId[] | undefined {
    const { handle, crc32c } = chunk;
    if (rebuild === undefined) {
      const source = sources.find(({ id }) => this.#hasGood(id, handle, crc32c));
      return source === undefined ? undefined : [source.id];
    }
    const able = rebuild.sources.filter(({ holder, lengthBytes, crc32c: ofUnit }) =>
      holder === undefined ? lengthBytes === 0 : this.#hasGood(holder.id, handle, ofUnit),
    );
    if (able.length < rebuild.data) return undefined;
    return able.slice(0, rebuild.data).flatMap(({ holder }) => holder?.id ?? []);
  }

  #put(machine: Machine, handle: ChunkHandle, crc32c: number): void {
    machine.copies.set(handle, "good");
    machine.crcs.set(handle, crc32c);
  }

  async auditReplica(auditor: Server, order: AuditOrder): Promise<AuditOutcome> {
    const { chunk, holder } = order;
    this.history.push(`audit ${chunk.handle} on ${holder.server.name} by ${auditor.name}`);
    if (!this.#named(auditor.name).isUp) throw new LumeoError("UNAVAILABLE", "nobody answers");
    if (auditor.name === holder.server.name) throw new Error("it audits itself");
    if (!this.machine(holder.id).isUp) return { kind: "unreached", why: "away" };
    const isGood = this.#hasGood(holder.id, chunk.handle, chunk.crc32c);
    return isGood ? { kind: "intact", readBytes: 4 } : { kind: "bad", why: "it is not there" };
  }

  async deleteReplicas(): Promise<readonly ChunkHandle[]> {
    return [];
  }

  async verifyReplica(): Promise<Verdict> {
    return { kind: "intact", lengthBytes: 4, crc32c: CONTENT_CRC };
  }

  async closeGrants(server: Server, grants: readonly GrantId[]): Promise<readonly ChunkHandle[]> {
    this.history.push(`close ${grants.length} grants on ${server.name}`);
    if (!this.#named(server.name).isUp) throw new LumeoError("UNAVAILABLE", "nobody answers");
    const { copies } = this.#named(server.name);
    return [...this.written].filter((handle) => {
      return grants.includes(grantOf(handle)) && copies.has(handle);
    });
  }

  async #add(name: string, rack: string | undefined): Promise<void> {
    const reply = await this.change({
      kind: "registerServer",
      name,
      storeUuid: name,
      dataAddress: "h:1",
      controlAddress: "h:2",
      labels: rack === undefined ? {} : { rack },
    });
    if (reply.kind !== "registered") throw new Error(reply.kind);
    const { server: id } = reply;
    const stored = { copies: new Map(), crcs: new Map() };
    this.machines.push({ id, name, ...stored, isUp: true, isFirstBeat: true });
  }

  #beat(): void {
    for (const machine of this.machines) {
      if (!machine.isUp) continue;
      const { id, isFirstBeat: isFirst } = machine;
      const all = [...machine.copies].filter(([, health]) => health === "damaged");
      const damaged = isFirst ? all.map(([handle]) => handle) : [];
      this.fleet.heartbeat(id, { load: LOAD, damaged, isFirst }, this.clock.monotonicMs());
      machine.isFirstBeat = false;
    }
  }

  async #busy(who: readonly string[]): Promise<void> {
    for (const one of who) {
      const count = (this.#atWork.get(one) ?? 0) + 1;
      this.#atWork.set(one, count);
      this.mostAtOnce = Math.max(this.mostAtOnce, count);
    }
    await this.world.sleep(this.copyMs);
    for (const one of who) this.#atWork.set(one, (this.#atWork.get(one) ?? 0) - 1);
  }

  #named(name: string): Machine {
    const machine = this.machines.find((one) => one.name === name);
    if (machine === undefined) throw new Error(`there is no machine ${name}`);
    return machine;
  }

  #hasGood(id: ServerId, handle: ChunkHandle, crc32c: number): boolean {
    const { isUp, copies, crcs } = this.machine(id);
    return isUp && copies.get(handle) === "good" && (crcs.get(handle) ?? CONTENT_CRC) === crc32c;
  }
}
