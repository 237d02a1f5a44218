// What servers really have against what the metadata says, in the order of the handles and in pages
// on both sides.
//
// R1. While clients write and copies move, the two sides are read at different moments. So whatever
//     seems wrong is only a suspicion: the chunk is read again, then the server is asked for this
//     replica, then the chunk is read once more. It is a finding if it was wrong in between by what
//     both readings say that it should be. Many suspicions share each of these three questions.
// R2. A replica that nobody needs goes by itself, after its server has told the masters of it. It
//     is waited for before it is called an orphan (garbage-wait.ts).
// R3. Of a coded chunk each member has to have its unit; one without bytes is nowhere, so whatever
//     is there in its place is judged as what belongs to no member.
// R4. A chunk that the masters keep has no members, and the masters say what is wrong with it; it
//     is looked at again like any suspicion.
// R5. Memory is bounded: a page of chunks, a page of each server, GARBAGE_MAX replicas to wait for.
// R6. Handles rise with time. It ends where the first page says that they ended: what writers add
//     meanwhile lies behind, and they may be faster than the audit.

import { MiB } from "@lumeofs/base";
import type { FsckEvent, FsckFinding, FsckProgress, ReplicaFault } from "./finding.js";
import { wayOut } from "./finding.js";
import { type Garbage, GarbageWait } from "./garbage-wait.js";
import { ServerListing } from "./server-listing.js";
import {
  type AuditedChunk,
  type AuditedMember,
  type AuditSource,
  type CopyReading,
  NAMED_MAX,
  READ_MAX,
  type ReplicaFacts,
} from "./source.js";

/** Questions that have copies read, at once: what they read is in the memory of servers. */
const READS_AT_ONCE = 8;
/** Data of the chunks that such a question names, unless it is a single one. */
const READ_BYTES_MAX = 4 * MiB;
/** Servers that are asked at once. */
const SERVERS_AT_ONCE = 8;
/** Replicas that nobody needs and that are waited for together. */
const GARBAGE_MAX = 2_000;

export interface ReplicaAuditOptions {
  /** Every copy is read from its disk. */
  readonly bytes: boolean;
  /** How long replicas that nobody needs are waited for at most; undefined for a default. */
  readonly patienceMs: number | undefined;
}

type Events = AsyncGenerator<FsckEvent, void, undefined>;

/** A copy that a server does not seem to have as it should. */
interface Suspect {
  readonly handle: number;
  readonly server: Pick<AuditedMember, "id" | "name">;
}

/** What a server should have of a chunk, by one reading of it. */
interface Duty {
  readonly chunk: AuditedChunk;
  readonly member: AuditedMember;
}

export class ReplicaAudit {
  readonly #source: AuditSource;
  readonly #options: ReplicaAuditOptions;
  readonly #wait: GarbageWait;
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
    this.#wait = new GarbageWait(source, options.patienceMs);
  }

  /** All chunks and all replicas (R6). */
  async *run(): Events {
    await this.begin();
    let last: number | undefined;
    for (let after = 0; ; ) {
      const { chunks, next, grantedUpto } = await this.#source.chunks(after);
      last ??= grantedUpto;
      const isEnd = next === 0 || last <= next;
      yield* this.#window(chunks, isEnd ? Number.POSITIVE_INFINITY : next);
      yield this.#progress("replicas");
      if (isEnd) break;
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
    this.#counts.chunks += chunks.length;
    yield* this.#confirm(
      chunks.flatMap((chunk) =>
        holdersOf(chunk).map((server) => ({ handle: chunk.handle, server })),
      ),
    );
    yield* this.#confirmInline(chunks);
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
    const suspects: Suspect[] = [];
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
            suspects.push({ handle: chunk.handle, server: member });
          }
        }
        yield* this.#judge(listing, strangers);
      }
    }
    for (const chunk of chunks) {
      this.#counts.chunks++;
      if (chunk.isReleased) continue;
      for (const member of holdersOf(chunk)) {
        if (seen.get(chunk.handle)?.has(member.id) === true) continue;
        suspects.push({ handle: chunk.handle, server: member });
      }
    }
    yield* this.#confirm(suspects);
    yield* this.#confirmInline(chunks);
    if (this.#options.bytes) yield* this.#read(chunks);
  }

  /** Looks at copies again (R1). */
  async *#confirm(suspects: readonly Suspect[]): Events {
    for (let at = 0; at < suspects.length; at += NAMED_MAX) {
      yield* this.#confirmSome(suspects.slice(at, at + NAMED_MAX));
    }
  }

  async *#confirmSome(suspects: readonly Suspect[]): Events {
    const before = await this.#source.named(handlesOf(suspects));
    const asked: { readonly suspect: Suspect; readonly then: Duty }[] = [];
    for (const suspect of suspects) {
      const { handle, server } = suspect;
      const then = dutyOf(before.get(handle), server.id);
      if (then === undefined) continue;
      const listing = this.#listings.get(server.id);
      if (listing === undefined || listing.server.isLost) {
        const what = `${nameOf(server)} is ${listing === undefined ? "gone" : "lost"}`;
        const about = { chunk: then.chunk, server: nameOf(server), what };
        yield this.#found("underReplicated", about);
        if (listing !== undefined) this.#couldNot(server, "the server is lost");
      } else {
        asked.push({ suspect, then });
      }
    }
    const held = await this.#ask(asked.map(({ suspect }) => suspect));
    const after = await this.#source.named(handlesOf(asked.map(({ suspect }) => suspect)));
    for (const { suspect, then } of asked) {
      const { handle, server } = suspect;
      const now = dutyOf(after.get(handle), server.id);
      if (now === undefined) continue;
      const replicas = held.get(server.id);
      if (replicas === undefined) {
        this.#couldNot(server, this.#listings.get(server.id)?.failure ?? "");
        continue;
      }
      const facts = replicas.get(handle);
      const wrong = faultOf(now.chunk, now.member, facts);
      if (wrong === undefined || faultOf(then.chunk, then.member, facts) === undefined) continue;
      const about = { chunk: now.chunk, server: nameOf(server), what: wrong.what };
      yield this.#found(wrong.fault, about);
    }
  }

  /** What servers have now of these chunks, by server; without those that do not answer. */
  async #ask(
    suspects: readonly Suspect[],
  ): Promise<ReadonlyMap<number, ReadonlyMap<number, ReplicaFacts>>> {
    const found = new Map<number, ReadonlyMap<number, ReplicaFacts>>();
    const servers = [...new Set(suspects.map(({ server }) => server.id))];
    for (let at = 0; at < servers.length; at += SERVERS_AT_ONCE) {
      const some = servers.slice(at, at + SERVERS_AT_ONCE).map(async (id) => {
        const handles = handlesOf(suspects.filter(({ server }) => server.id === id));
        const held = await this.#listings.get(id)?.find(handles);
        if (held !== undefined) found.set(id, held.replicas);
      });
      await Promise.all(some);
    }
    return found;
  }

  /** Looks again at chunks that the masters keep (R4). */
  async *#confirmInline(chunks: readonly AuditedChunk[]): Events {
    const suspects = chunks.filter(({ isReleased, inlineFault = "" }) => {
      return !isReleased && inlineFault !== "";
    });
    for (let at = 0; at < suspects.length; at += NAMED_MAX) {
      const some = suspects.slice(at, at + NAMED_MAX);
      for (const chunk of (await this.#source.named(handlesOf(some))).values()) {
        const what = chunk.isReleased ? "" : (chunk.inlineFault ?? "");
        if (what !== "") yield this.#found("inlineBytes", { chunk, server: undefined, what });
      }
    }
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
    if (GARBAGE_MAX <= this.#garbage.length) yield* this.#waitOut();
  }

  #newer({ server }: ServerListing, facts: ReplicaFacts): FsckEvent {
    const what = `${server.name} has it at epoch ${facts.epoch}, which the masters never gave`;
    return this.#found("newer", { handle: facts.handle, server: server.name, what });
  }

  /** Gives what nobody needs the time to go (R2). */
  async *#waitOut(): Events {
    for await (const news of this.#wait.settle(this.#garbage.splice(0))) {
      if (news.kind === "waiting") {
        yield this.#progress("waiting");
      } else if (news.kind === "pending") {
        yield { kind: "note", subject: news.listing.server.name, what: news.what };
      } else {
        const { listing, facts } = news.garbage;
        const { name } = listing.server;
        const what = `${name} has a copy of a chunk that no file has, and no writer may use`;
        const about = { handle: facts.handle, server: name, what: `${what}; ${news.why}` };
        yield this.#found("orphan", about);
      }
    }
  }

  /** Has the copies of chunks read, some at a time. */
  async *#read(chunks: readonly AuditedChunk[]): Events {
    const kept = chunks.filter(({ isReleased, inlineFault }) => {
      return !isReleased && inlineFault === undefined; // what the masters keep, they have looked at
    });
    const batches = [...readTogether(kept)];
    for (let at = 0; at < batches.length; at += READS_AT_ONCE) {
      const some = batches.slice(at, at + READS_AT_ONCE);
      const readings = await Promise.all(some.map((batch) => this.#source.read(handlesOf(batch))));
      for (const one of readings) yield* this.#judgeReadings(one);
      for (const { lengthBytes } of some.flat()) this.#counts.bytes += lengthBytes;
      yield this.#progress("replicas");
    }
  }

  async *#judgeReadings(readings: ReadonlyMap<number, readonly CopyReading[]>): Events {
    const bad: { readonly suspect: Suspect; readonly why: string }[] = [];
    for (const [handle, copies] of readings) {
      for (const { id, name, finding, why } of copies) {
        if (finding === "unknown") this.#couldNot({ id, name }, why);
        if (finding === "bad") bad.push({ suspect: { handle, server: { id, name } }, why });
      }
    }
    if (bad.length === 0) return;
    const now = await this.#source.named(handlesOf(bad.map(({ suspect }) => suspect)));
    for (const { suspect, why } of bad) {
      const { handle, server } = suspect;
      const duty = dutyOf(now.get(handle), server.id);
      if (duty === undefined) continue;
      yield this.#found("corrupt", { chunk: duty.chunk, server: nameOf(server), what: why });
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

/** What this server should have of a chunk, if it should. */
function dutyOf(chunk: AuditedChunk | undefined, id: number): Duty | undefined {
  if (chunk === undefined || chunk.isReleased) return undefined;
  const member = holdersOf(chunk).find((one) => one.id === id);
  return member === undefined ? undefined : { chunk, member };
}

function handlesOf(some: readonly { readonly handle: number }[]): readonly number[] {
  return [...new Set(some.map(({ handle }) => handle))];
}

/** Chunks in groups for one question to read them each. */
function* readTogether(
  chunks: readonly AuditedChunk[],
): Generator<readonly AuditedChunk[], void, undefined> {
  let some: AuditedChunk[] = [];
  let bytes = 0;
  for (const chunk of chunks) {
    const isFull = some.length === READ_MAX || READ_BYTES_MAX < bytes + chunk.lengthBytes;
    if (isFull && 0 < some.length) {
      yield some;
      some = [];
      bytes = 0;
    }
    some.push(chunk);
    bytes += chunk.lengthBytes;
  }
  if (0 < some.length) yield some;
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
