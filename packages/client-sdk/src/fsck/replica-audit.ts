// What servers really have against what the metadata says, in the order of the handles and in pages
// on both sides.
//
// R1. While clients write and copies move, the two sides are read at different moments. So whatever
//     seems wrong is only a suspicion: the chunk is read again, then the server is asked for this
//     one replica, then the chunk is read once more. It is a finding if it was wrong in between and
//     both readings say that it should not be.
// R2. A replica that nobody needs goes by itself, after its server has told the masters of it. It
//     is waited for before it is called an orphan.
// R3. Of a coded chunk each member has to have its unit; one without bytes is nowhere, so whatever
//     is there in its place is judged as what belongs to no member.
// R4. A chunk that the masters keep has no members, and the masters say what is wrong with it; it
//     is looked at again like any suspicion.
// R5. Memory is bounded: a page of chunks, a page of each server, SUSPECTS_MAX suspicions.

import type { FsckEvent, FsckFinding, FsckProgress, ReplicaFault } from "./finding.js";
import { wayOut } from "./finding.js";
import { ServerListing } from "./server-listing.js";
import type { AuditedChunk, AuditedMember, AuditSource, ReplicaFacts } from "./source.js";

const READS_AT_ONCE = 8;
/** Replicas that nobody needs and that are waited for together. */
const SUSPECTS_MAX = 2_000;
const POLL_MS = 2_000;
/** How long a server takes to tell the masters of all that it has, at the settings of a new one. */
const PAGE_OF_INVENTORY = 2_000;
const PAUSE_OF_INVENTORY_MS = 10_000;
const PATIENCE_MS_MIN = 15_000;
const PATIENCE_MS_MAX = 120_000;

export interface ReplicaAuditOptions {
  /** Every copy is read from its disk. */
  readonly bytes: boolean;
  /** How long a replica that nobody needs may take to go; undefined chooses by the size. */
  readonly patienceMs: number | undefined;
}

type Events = AsyncGenerator<FsckEvent, void, undefined>;

interface Garbage {
  readonly listing: ServerListing;
  readonly facts: ReplicaFacts;
}

export class ReplicaAudit {
  readonly #source: AuditSource;
  readonly #options: ReplicaAuditOptions;
  readonly #listings = new Map<number, ServerListing>();
  /** Copies on servers that do not answer, by server. */
  readonly #unchecked = new Map<string, { count: number; why: string }>();
  #garbage: Garbage[] = [];
  #counts = { chunks: 0, replicas: 0, bytes: 0 };
  /** Contents of chunks that findings are about. */
  readonly contentOf = new WeakMap<FsckFinding, number>();

  constructor(source: AuditSource, options: ReplicaAuditOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** All chunks and all replicas. */
  async *run(): Events {
    await this.begin();
    for (let after = 0; ; ) {
      const { chunks, next } = await this.#source.chunks(after);
      const to = next === 0 ? Number.POSITIVE_INFINITY : next;
      yield* this.#window(chunks, to);
      yield this.#progress("replicas");
      if (next === 0) break;
      after = next;
    }
    yield* this.#waitOut();
    yield* this.end();
  }

  /** Learns which servers there are. */
  async begin(): Promise<void> {
    for (const server of await this.#source.servers()) {
      this.#listings.set(server.id, new ServerListing(this.#source, server));
    }
  }

  /** Some chunks only: whether each member has them. */
  async *check(chunks: readonly AuditedChunk[]): Events {
    for (const chunk of chunks) {
      this.#counts.chunks++;
      for (const member of holdersOf(chunk)) yield* this.#confirm(chunk, member);
      yield* this.#confirmInline(chunk);
    }
    if (this.#options.bytes) yield* this.#read(chunks);
    yield this.#progress("replicas");
  }

  /** Says what could not be checked. */
  async *end(): Events {
    for (const [subject, { count, why }] of this.#unchecked) {
      yield { kind: "unchecked", subject, why: `${count} copies there: ${why}` };
    }
    for (const { server, failure } of this.#listings.values()) {
      if (failure === undefined || this.#unchecked.has(server.name)) continue;
      yield { kind: "unchecked", subject: server.name, why: failure };
    }
  }

  /** Chunks, and what all servers have up to the handle `to`. */
  async *#window(chunks: readonly AuditedChunk[], to: number): Events {
    const expected = new Map(chunks.map((chunk) => [chunk.handle, chunk]));
    const seen = new Map<number, Set<number>>();
    const suspects: (readonly [AuditedChunk, AuditedMember])[] = [];
    for (const listing of this.#listings.values()) {
      for (;;) {
        const page = await listing.next(to);
        if (page.length === 0) break;
        this.#counts.replicas += page.length;
        const strangers: ReplicaFacts[] = [];
        for (const facts of page) {
          const chunk = expected.get(facts.handle);
          const member = holdersOf(chunk).find(({ id }) => id === listing.server.id);
          if (chunk === undefined || member === undefined) {
            strangers.push(facts);
            continue;
          }
          seen.set(facts.handle, (seen.get(facts.handle) ?? new Set()).add(member.id));
          if (!chunk.isReleased && faultOf(chunk, member, facts) !== undefined) {
            suspects.push([chunk, member]);
          }
        }
        yield* this.#judge(listing, strangers);
      }
    }
    for (const chunk of chunks) {
      this.#counts.chunks++;
      if (chunk.isReleased) continue;
      for (const member of holdersOf(chunk)) {
        if (seen.get(chunk.handle)?.has(member.id) !== true) suspects.push([chunk, member]);
      }
    }
    for (const [chunk, member] of suspects) yield* this.#confirm(chunk, member);
    for (const chunk of chunks) yield* this.#confirmInline(chunk);
    if (this.#options.bytes) yield* this.#read(chunks);
  }

  /** Looks at one copy again (R1). */
  async *#confirm(before: AuditedChunk, member: AuditedMember): Events {
    const { handle } = before;
    const listing = this.#listings.get(member.id);
    if (listing === undefined || listing.server.isLost) {
      const chunk = (await this.#stillMember(handle, member.id))?.chunk;
      if (chunk === undefined) return;
      const what = `${nameOf(member)} is ${listing === undefined ? "gone" : "lost"}`;
      yield this.#found("underReplicated", { chunk, server: nameOf(member), what });
      if (listing !== undefined) this.#couldNot(member, "the server is lost");
      return;
    }
    if (listing.failure !== undefined) return this.#couldNot(member, listing.failure);
    if ((await this.#stillMember(handle, member.id)) === undefined) return;
    const facts = await listing.find(handle);
    if (facts === "unknown") return this.#couldNot(member, listing.failure ?? "");
    const still = await this.#stillMember(handle, member.id);
    if (still === undefined) return;
    const { chunk } = still;
    const wrong = faultOf(chunk, still.member, facts);
    if (wrong === undefined) return;
    yield this.#found(wrong.fault, { chunk, server: nameOf(member), what: wrong.what });
  }

  /** Looks again at a chunk that the masters keep (R4). */
  async *#confirmInline({ handle, isReleased, inlineFault }: AuditedChunk): Events {
    if (isReleased || inlineFault === undefined || inlineFault === "") return;
    const chunk = await this.#source.chunk(handle);
    const what = chunk?.isReleased === false ? (chunk.inlineFault ?? "") : "";
    if (chunk !== undefined && what !== "") {
      yield this.#found("inlineBytes", { chunk, server: undefined, what });
    }
  }

  /** The chunk as it is now, and what this server should have of it, if it should. */
  async #stillMember(
    handle: number,
    id: number,
  ): Promise<{ readonly chunk: AuditedChunk; readonly member: AuditedMember } | undefined> {
    const chunk = await this.#source.chunk(handle);
    if (chunk === undefined || chunk.isReleased) return undefined;
    const member = holdersOf(chunk).find((one) => one.id === id);
    return member === undefined ? undefined : { chunk, member };
  }

  /** What a server has beyond the chunks that it is a member of. */
  async *#judge(listing: ServerListing, strangers: readonly ReplicaFacts[]): Events {
    if (strangers.length === 0) return;
    const standings = await this.#source.judge(listing.server.id, strangers);
    for (const [i, facts] of strangers.entries()) {
      const standing = standings[i];
      if (standing === "newer") yield this.#newer(listing, facts);
      if (standing === "garbage") this.#garbage.push({ listing, facts });
    }
    if (SUSPECTS_MAX <= this.#garbage.length) yield* this.#waitOut();
  }

  #newer({ server }: ServerListing, facts: ReplicaFacts): FsckEvent {
    const what = `${server.name} has it at epoch ${facts.epoch}, which the masters never gave`;
    return this.#found("newer", { handle: facts.handle, server: server.name, what });
  }

  /** Gives what nobody needs the time to go (R2). */
  async *#waitOut(): Events {
    const begun = this.#source.nowMs();
    for (;;) {
      const left: Garbage[] = [];
      for (const one of this.#garbage) if (await this.#isGarbageStill(one)) left.push(one);
      this.#garbage = left;
      if (left.length === 0) return;
      const patience = Math.max(...left.map(({ listing }) => this.#patienceMs(listing)));
      if (patience <= this.#source.nowMs() - begun) break;
      yield this.#progress("waiting");
      await this.#source.pause(POLL_MS);
    }
    for (const { listing, facts } of this.#garbage.splice(0)) {
      const { name } = listing.server;
      const what = `${name} has a copy of a chunk that no file has, and that no writer may use`;
      yield this.#found("orphan", { handle: facts.handle, server: name, what });
    }
  }

  async #isGarbageStill({ listing, facts }: Garbage): Promise<boolean> {
    const now = await listing.find(facts.handle);
    if (now === undefined || now === "unknown") return false;
    const [standing] = await this.#source.judge(listing.server.id, [now]);
    return standing === "garbage";
  }

  #patienceMs({ count }: ServerListing): number {
    const { patienceMs } = this.#options;
    if (patienceMs !== undefined) return patienceMs;
    const pages = Math.ceil(count / PAGE_OF_INVENTORY);
    const roundMs = PATIENCE_MS_MIN + pages * PAUSE_OF_INVENTORY_MS;
    return Math.min(PATIENCE_MS_MAX, roundMs);
  }

  /** Has the copies of chunks read, some at a time. */
  async *#read(chunks: readonly AuditedChunk[]): Events {
    const kept = chunks.filter(({ isReleased, inlineFault }) => {
      return !isReleased && inlineFault === undefined; // what the masters keep, they have looked at
    });
    for (let at = 0; at < kept.length; at += READS_AT_ONCE) {
      const some = kept.slice(at, at + READS_AT_ONCE);
      const readings = await Promise.all(some.map(({ handle }) => this.#source.read(handle)));
      for (const [i, chunk] of some.entries()) {
        this.#counts.bytes += chunk.lengthBytes;
        for (const { id, name, finding, why } of readings[i] ?? []) {
          if (finding === "unknown") this.#couldNot({ id, name }, why);
          if (finding !== "bad") continue;
          const now = (await this.#stillMember(chunk.handle, id))?.chunk;
          const server = nameOf({ id, name });
          if (now !== undefined) yield this.#found("corrupt", { chunk: now, server, what: why });
        }
      }
      yield this.#progress("replicas");
    }
  }

  #couldNot(member: Pick<AuditedMember, "id" | "name">, why: string): void {
    const known = this.#unchecked.get(nameOf(member)) ?? { count: 0, why };
    known.count++;
    this.#unchecked.set(nameOf(member), known);
  }

  #found(
    fault: ReplicaFault | "inlineBytes",
    about: {
      readonly chunk?: AuditedChunk;
      readonly handle?: number;
      readonly server: string | undefined;
      readonly what: string;
    },
  ): FsckEvent {
    const { chunk, server, what } = about;
    const handle = chunk?.handle ?? about.handle;
    const finding = { fault, path: undefined, handle, server, what, wayOut: wayOut(fault, handle) };
    if (chunk !== undefined) this.contentOf.set(finding, chunk.content);
    return { kind: "finding", finding };
  }

  #progress(phase: FsckProgress["phase"]): FsckEvent {
    return { kind: "progress", progress: { phase, records: 0, files: 0, ...this.#counts } };
  }
}

/** The members that have something to hold (R3). */
function holdersOf(chunk: AuditedChunk | undefined): readonly AuditedMember[] {
  return (chunk?.members ?? []).filter(({ isNowhere }) => !isNowhere);
}

/** What is wrong with a copy, as its server describes it; undefined if nothing is. */
function faultOf(
  chunk: AuditedChunk,
  member: AuditedMember,
  facts: ReplicaFacts | undefined,
): { readonly fault: ReplicaFault; readonly what: string } | undefined {
  if (facts === undefined) return { fault: "missing", what: "the server does not have it" };
  if (facts.epoch < chunk.epoch) {
    return { fault: "stale", what: `it is of epoch ${facts.epoch}, expected ${chunk.epoch}` };
  }
  if (chunk.epoch < facts.epoch) {
    return { fault: "newer", what: `it is of epoch ${facts.epoch}, expected ${chunk.epoch}` };
  }
  if (facts.damaged) return { fault: "corrupt", what: "the server knows that it is damaged" };
  if (facts.lengthBytes !== member.lengthBytes) {
    const what = `it has ${facts.lengthBytes} bytes, expected ${member.lengthBytes}`;
    return { fault: "wrongLength", what };
  }
  if (facts.crc32c === member.crc32c) return undefined;
  const [is, said] = [facts.crc32c, member.crc32c].map((crc) => crc.toString(16).padStart(8, "0"));
  return { fault: "wrongChecksum", what: `its checksum is ${is}, expected ${said}` };
}

function nameOf({ id, name }: Pick<AuditedMember, "id" | "name">): string {
  return name === "" ? `server ${id}` : name;
}
