// The replicas of one server in the order of their handles, a page in memory. A server that does
// not answer for a while is given up for the rest of the check.

import { LumeoError, type LumeoErrorCode } from "../error.js";
import type { AuditedServer, AuditSource, HeldReplicas, ReplicaFacts } from "./source.js";

const PAGE = 2_000;
const TRIES = 3;
const PAUSE_MS = 1_000;
/** The whole check is over. */
const ENDS: ReadonlySet<LumeoErrorCode> = new Set(["LUMEO_ABORTED", "LUMEO_CLOSED"]);

export class ServerListing {
  readonly server: AuditedServer;
  readonly #source: AuditSource;
  #page: readonly ReplicaFacts[] = [];
  #at = 0;
  #after = 0;
  #isEnd = false;
  /** Why it was given up. */
  failure: string | undefined;

  constructor(source: AuditSource, server: AuditedServer) {
    this.#source = source;
    this.server = server;
  }

  /** The next replicas with handles up to `to`, at most a page; empty when there are no more. */
  async next(to: number): Promise<readonly ReplicaFacts[]> {
    if (this.#at === this.#page.length && !this.#isEnd) await this.#load();
    if (this.failure !== undefined) return [];
    const begin = this.#at;
    while (this.#at < this.#page.length && (this.#page[this.#at]?.handle ?? to + 1) <= to) {
      this.#at++;
    }
    return this.#page.slice(begin, this.#at);
  }

  /** What the server has of at most NAMED_MAX chunks now; undefined if it does not answer. */
  find(handles: readonly number[]): Promise<HeldReplicas | undefined> {
    return this.#ask(() => this.#source.held(this.server.id, handles));
  }

  async #load(): Promise<void> {
    const page = await this.#ask(() => this.#source.replicas(this.server.id, this.#after, PAGE));
    if (page === undefined) return;
    this.#page = page;
    this.#at = 0;
    this.#after = page.at(-1)?.handle ?? this.#after;
    this.#isEnd = page.length < PAGE;
  }

  async #ask<T>(question: () => Promise<T>): Promise<T | undefined> {
    if (this.failure !== undefined) return undefined;
    for (let tries = 1; ; tries++) {
      try {
        return await question();
      } catch (error) {
        if (!LumeoError.is(error) || ENDS.has(error.code)) throw error;
        if (TRIES <= tries || !this.server.isAlive) {
          this.failure = error.message;
          return undefined;
        }
        await this.#source.pause(PAUSE_MS);
      }
    }
  }
}
