// Whether copies are where the masters say.
//
// R1. Whatever a chunk's record lists as a member has the chunk, with the epoch, the length and the
//     checksum of the record, from the moment of its commit on (commits, moves), whatever crashes:
//     unless that machine's own disk has lost or damaged it. So a copy that somebody needs is never
//     deleted (C10), and none counts before it is durable. A chunk that was appended to is on a
//     majority of its members when it is sealed; the others get it afterwards.
// R2. A job that is done is done: no chunk that there was when it began still lists the server that
//     it was to empty. (A writer may commit to that server later: another job is for that.)
// R3. After all faults each chunk has as many intact copies as its file wants, on servers that are
//     there, each read again from its disk (C8); and nothing else is left on any disk.
// R4. From its commit on a chunk has as many members as its file was promised copies, or its code
//     has units, on as many machines, whatever moves.
// R5. What the masters keep themselves has no members, and its bytes are there, whole.
//
// Of a coded chunk each member has its unit, by the unit's own length and checksum.

import { type ChunkHandle, invariant, LumeoError, unitCount } from "@lumeofs/base";
import type { Chunkserver } from "@lumeofs/chunkserver";
import {
  type ChunkRecord,
  chunksPage,
  faultOfInline,
  getChunk,
  getServer,
  holdsNothing,
  isOpen,
  jobsPage,
  memberContent,
  type NumberedChunk,
  type StateReader,
  tailsPage,
} from "@lumeofs/master";
import type { Cluster } from "../cluster.js";
import type { ChunkserverMachine } from "../machine/chunkserver-machine.js";
import { isOfFailedStore, must } from "./violation.js";

const CHUNKS_MAX = 100_000;
const JOBS_MAX = 10_000;
/** Between two looks whether everything is whole. */
const LOOK_MS = 1_000;
/** A copy that cannot be read within so long is looked at again. */
const VERIFY_MS_MAX = 6_000;

type Member = ChunkRecord["members"][number];
type Verdict = Awaited<ReturnType<Chunkserver["store"]["verify"]>>;

export class ReplicaChecks {
  jobsDone = 0;
  /** What the last look still missed; for people. */
  missing = "";
  readonly #cluster: Cluster;
  readonly #ended = new Set<number>();
  /** When a job, and a server as a member of a chunk, were seen for the first time. */
  readonly #jobSeen = new Map<number, number>();
  readonly #memberSeen = new Map<string, number>();
  /** Files that were appended to: their chunks have grown. */
  readonly #grown = new Set<number>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Looks again and again from now on. */
  begin(periodMs: number): void {
    const { world } = this.#cluster;
    const look = (): void => {
      this.#look().catch((error: unknown) => {
        if (!isOfFailedStore(error)) world.fail(error);
      });
      world.after(periodMs, look);
    };
    world.after(periodMs, look);
  }

  /** Resolves when R3 holds. */
  async untilWhole(): Promise<void> {
    const { world } = this.#cluster;
    for (;;) {
      this.missing = await this.#firstFault().catch((error: unknown) => {
        if (isOfFailedStore(error)) return "a disk has failed";
        throw error;
      });
      world.record(() => `not whole: ${this.missing}`);
      if (this.missing === "") return;
      await new Promise<void>((resolve) => world.after(LOOK_MS, resolve));
    }
  }

  async #look(): Promise<void> {
    const newest = this.#cluster.newest();
    if (newest === undefined) return;
    for (const { tail } of await tailsPage(newest.reader, 0, CHUNKS_MAX))
      this.#grown.add(tail.inode);
    const chunks = await chunksPage(newest.reader, 0, CHUNKS_MAX);
    // Since then masters may have ended, or others have gone on.
    const { reader } = this.#cluster.newest() ?? {};
    if (reader === undefined) return;
    for (const { handle } of chunks) {
      const record = getChunk(reader, handle);
      if (record !== undefined && record.releasedAt === undefined) {
        this.#checkMembers(reader, handle, record);
      }
    }
    await this.#checkJobs(reader);
  }

  /** R1. Reads what is in memory: nothing happens meanwhile. */
  #checkMembers(reader: StateReader, handle: ChunkHandle, record: ChunkRecord): void {
    const { members } = record;
    if (record.isInline) {
      const fault = faultOfInline(reader, handle, record);
      must(fault === undefined, "R5", () => `chunk ${handle}, which masters keep: ${fault}`);
      return;
    }
    const isWhole = this.#membersWanted(record) <= new Set(members).size;
    must(isWhole, "R4", () => `chunk ${handle} has only the members ${members.join()}`);
    const missing = members.filter(
      (member) => !this.#has(reader, member, { handle, chunk: record }),
    );
    const mayMiss = this.#grown.has(record.inode) ? Math.floor((members.length - 1) / 2) : 0;
    must(missing.length <= mayMiss, "R1", () => {
      const [machine] = missing.map((member) => this.#machineOf(reader, member));
      const found = machine?.chunkserver?.store.find(handle);
      return (
        `chunk ${handle} lists ${machine?.name}, where it is ${JSON.stringify(found)}, ` +
        `not ${JSON.stringify(record)}`
      );
    });
  }

  /** Whether a member has the chunk as its record says; yes if nobody can tell. */
  #has(reader: StateReader, member: Member, { handle, chunk }: NumberedChunk): boolean {
    if (holdsNothing(chunk, member)) return true;
    const pair = `${handle} ${member}`;
    if (!this.#memberSeen.has(pair)) this.#memberSeen.set(pair, this.#cluster.world.now);
    const machine = this.#machineOf(reader, member);
    if (machine?.chunkserver === undefined || machine.isHarmed) return true;
    const found = machine.chunkserver.store.find(handle);
    if (found === undefined || found.isDamaged) return false;
    const { version, length, crc32c } = found;
    const content = memberContent(chunk, member);
    const isSame = length === content.lengthBytes && crc32c === content.crc32c;
    return version.epoch === chunk.epoch && isSame;
  }

  #membersWanted({ coding }: ChunkRecord): number {
    return coding === undefined ? this.#cluster.options.replicas : unitCount(coding);
  }

  /** R2. */
  async #checkJobs(reader: StateReader): Promise<void> {
    const { now } = this.#cluster.world;
    for (const { id, job } of await jobsPage(reader, 0, JOBS_MAX)) {
      const seenAt = this.#jobSeen.get(id) ?? now;
      this.#jobSeen.set(id, seenAt);
      if (job.state !== "done" || this.#ended.has(id)) continue;
      this.#ended.add(id);
      this.jobsDone++;
      const { kind, subject } = job;
      if (subject === undefined || kind === "mend") continue;
      for (const { handle, chunk } of await chunksPage(reader, 0, CHUNKS_MAX)) {
        if (chunk.releasedAt !== undefined || !chunk.members.includes(subject)) continue;
        const memberAt = this.#memberSeen.get(`${handle} ${subject}`) ?? now;
        const what = (): string =>
          `job ${id} (${kind} ${subject}) is done, chunk ${handle} is left`;
        must(seenAt <= memberAt, "R2", what);
      }
    }
  }

  /** The machine on which this very store runs now. */
  #machineOf(reader: StateReader, member: Member): ChunkserverMachine | undefined {
    const server = getServer(reader, member);
    return this.#cluster.chunkservers.find(
      ({ chunkserver }) => chunkserver?.storeUuid === server?.storeUuid,
    );
  }

  /** R3: the first thing that is not as it should be; empty if all is well. */
  async #firstFault(): Promise<string> {
    const newest = this.#cluster.newest();
    if (newest === undefined) return "no master that knows everything";
    const { reader } = newest;
    const open = (await jobsPage(reader, 0, JOBS_MAX)).find(({ job }) => isOpen(job));
    if (open !== undefined) return `job ${open.id} (${open.job.kind}) runs: ${open.job.note}`;
    const chunks = await chunksPage(reader, 0, CHUNKS_MAX);
    for (const numbered of chunks) {
      const fault = await this.#faultOf(reader, numbered);
      if (fault !== "") return fault;
    }
    return this.#leftover(reader, chunks);
  }

  async #faultOf(reader: StateReader, { handle, chunk }: NumberedChunk): Promise<string> {
    if (chunk.releasedAt !== undefined) return `chunk ${handle} is released and not forgotten`;
    if (chunk.isInline) return "";
    if (chunk.members.length < this.#membersWanted(chunk))
      return `chunk ${handle} has ${chunk.members.length}`;
    for (const member of chunk.members) {
      if (holdsNothing(chunk, member)) continue;
      const machine = this.#machineOf(reader, member);
      if (machine === undefined) return `chunk ${handle} lists server ${member}, which is away`;
      const verdict = await this.#verified(machine, handle);
      if (verdict?.kind !== "intact") return `chunk ${handle} on ${machine.name} is not intact`;
      const content = memberContent(chunk, member);
      const isSame = verdict.length === content.lengthBytes && verdict.crc32c === content.crc32c;
      must(isSame, "C8", () => `chunk ${handle} on ${machine.name} has other bytes`);
    }
    return "";
  }

  /** What a copy is, read again; undefined if that cannot be said now: its disk may hang. */
  async #verified(machine: ChunkserverMachine, handle: ChunkHandle): Promise<Verdict | undefined> {
    const { world } = this.#cluster;
    const late = new Promise<undefined>((resolve) => {
      world.after(VERIFY_MS_MAX, () => resolve(undefined));
    });
    const verdict = machine.chunkserver?.store.verify(handle).catch((error: unknown) => {
      if (error instanceof LumeoError) return undefined;
      throw error;
    });
    return Promise.race([verdict, late]);
  }

  async #leftover(reader: StateReader, chunks: readonly NumberedChunk[]): Promise<string> {
    const members = new Map(chunks.map(({ handle, chunk }) => [handle, chunk.members]));
    for (const { chunkserver, name } of this.#cluster.chunkservers) {
      if (chunkserver === undefined) return `${name} is down`;
      const there = await chunkserver.store.page(undefined, CHUNKS_MAX);
      invariant(there.length < CHUNKS_MAX, "one page has everything");
      for (const { handle } of there) {
        const isMember = members.get(handle)?.some((member) => {
          return getServer(reader, member)?.storeUuid === chunkserver.storeUuid;
        });
        if (isMember !== true) return `${name} keeps chunk ${handle}, which nobody needs there`;
      }
    }
    return "";
  }
}
