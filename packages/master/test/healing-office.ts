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
  type ServerId,
  SILENT_LOGGER,
  serverId,
  unitLength,
} from "@lumeofs/base";
import type { ExecutionContext } from "ava";
import { HealingFigures } from "../src/duties/healing/figures.js";
import { healingDuty } from "../src/duties/healing/healing-duty.js";
import type {
  AuditOrder,
  AuditOutcome,
  CopyOrder,
  CopyOutcome,
  Orders,
  Verdict,
} from "../src/duties/orders.js";
import { getChunk } from "../src/metadata/chunk-table.js";
import type { Server } from "../src/metadata/servers.js";
import { codedAs, commitOf, sealed } from "./metadata-driver.js";
import { Office, type OfficeMachine, SECOND } from "./office.js";

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

export interface Machine extends OfficeMachine {
  readonly copies: Map<ChunkHandle, "good" | "damaged">;
  /** Checksums of these: which unit of a coded chunk one is. */
  readonly crcs: Map<ChunkHandle, number>;
  isFirstBeat: boolean;
}

export interface HealingOfficeOptions {
  readonly limits?: typeof LIMITS;
  /** Of machines, by name. */
  readonly racks?: Readonly<Record<string, string>>;
}

export class HealingOffice extends Office<Machine> implements Orders {
  readonly seen = new HealingFigures();
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

  /** Open until the end of the test. */
  static async open(
    t: ExecutionContext,
    names: readonly string[],
    options: HealingOfficeOptions = {},
  ): Promise<HealingOffice> {
    const office = new HealingOffice(options.limits ?? LIMITS);
    t.teardown(() => office.close());
    await office.begin(names, options.racks ?? {}, 15 * SECOND);
    return office;
  }

  private constructor(limits: typeof LIMITS) {
    super();
    const { log, clock, fleet, seen } = this;
    const parts = { log, clock, fleet, orders: this, logger: SILENT_LOGGER, seen };
    this.run(healingDuty(parts, limits));
  }

  protected override furnished(machine: OfficeMachine): Machine {
    return { ...machine, copies: new Map(), crcs: new Map(), isFirstBeat: true };
  }

  /** All that is damaged, the first time; later marks are made by the tests. */
  protected override heard(machine: Machine) {
    const isFirst = machine.isFirstBeat;
    machine.isFirstBeat = false;
    const all = [...machine.copies].filter(([, health]) => health === "damaged");
    return { damaged: isFirst ? all.map(([handle]) => handle) : [], isFirst };
  }

  /** A file of one chunk with its copies on these servers. */
  async file(path: string, members: readonly number[]): Promise<ChunkHandle> {
    const handle = await this.#handleFor(members);
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
    const handle = await this.#handleFor(members);
    const chunk = { ...codedAs(code, handle), lengthBytes };
    const file = { chunks: [chunk], chunkSizeBytes: lengthBytes, code };
    await this.change(commitOf(path, [handle], file));
    for (const [unit, member] of members.entries()) {
      if (unitLength(code, lengthBytes, unit) === 0) continue;
      this.#put(this.machine(member), handle, unit);
    }
    return handle;
  }

  override up(id: number): void {
    super.up(id);
    this.machine(id).isFirstBeat = true;
  }

  damage(id: number, handle: ChunkHandle): void {
    this.machine(id).copies.set(handle, "damaged");
    this.fleet.markDamaged(serverId(id), handle);
  }

  members(handle: ChunkHandle): readonly number[] {
    return getChunk(this.state, handle)?.members ?? [];
  }

  async copyReplica(target: Server, order: CopyOrder): Promise<CopyOutcome> {
    const { handle, crc32c } = order.chunk;
    const to = this.named(target.name);
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

  async #handleFor(members: readonly number[]): Promise<ChunkHandle> {
    const [handle] = await this.allocate(members, 1);
    return handle as ChunkHandle;
  }

  #put(machine: Machine, handle: ChunkHandle, crc32c: number): void {
    machine.copies.set(handle, "good");
    machine.crcs.set(handle, crc32c);
  }

  async auditReplica(auditor: Server, order: AuditOrder): Promise<AuditOutcome> {
    const { chunk, holder } = order;
    this.history.push(`audit ${chunk.handle} on ${holder.server.name} by ${auditor.name}`);
    if (!this.named(auditor.name).isUp) throw new LumeoError("UNAVAILABLE", "nobody answers");
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
    if (!this.named(server.name).isUp) throw new LumeoError("UNAVAILABLE", "nobody answers");
    const { copies } = this.named(server.name);
    return [...this.written].filter((handle) => {
      return grants.includes(grantOf(handle)) && copies.has(handle);
    });
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

  #hasGood(id: ServerId, handle: ChunkHandle, crc32c: number): boolean {
    const { isUp, copies, crcs } = this.machine(id);
    return isUp && copies.get(handle) === "good" && (crcs.get(handle) ?? CONTENT_CRC) === crc32c;
  }
}
