// A caller with a folder of its own: makes, renames and removes names, each used only once, and
// knows of every one whether it must be there, and which change the feed must tell of it.

import type { Random } from "@lumeofs/base";
import type { FsEvent, Lumeo } from "@lumeofs/client";
import type { Ledger, Outcome } from "../ledger.js";
import { rest } from "../rest.js";

/** A change that was acknowledged, as a watcher must see it. */
export type ExpectedEvent = Pick<FsEvent, "type" | "path" | "from">;

type State = "there" | "gone" | "unknown";

const NAMES_MAX = 200;
const REST_MS_MAX = 15;
const EMPTY = new Uint8Array(0);

export class NameKeeper {
  readonly folder: string;
  /** Changes that were acknowledged, in their order. */
  readonly acknowledged: ExpectedEvent[] = [];
  readonly #client: Lumeo;
  readonly #random: Random;
  readonly #ledger: Ledger;
  readonly #names = new Map<string, State>();
  #count = 0;

  constructor(folder: string, parts: { client: Lumeo; random: Random; ledger: Ledger }) {
    this.folder = folder;
    this.#client = parts.client;
    this.#random = parts.random;
    this.#ledger = parts.ledger;
  }

  /** Works until told to end. */
  async work(end: AbortSignal): Promise<void> {
    while (!end.aborted) {
      await this.#step();
      await rest(REST_MS_MAX * this.#random.fraction(), end);
    }
  }

  /** A name whose last change had an outcome that nobody knows. */
  isDoubtful(path: string): boolean {
    return this.#names.get(path) === "unknown";
  }

  /** What a listing of the folder has too much or too little, one line each. */
  compare(listed: ReadonlySet<string>): readonly string[] {
    const wrong: string[] = [];
    for (const [path, state] of this.#names) {
      if (state === "there" && !listed.has(path))
        wrong.push(`${path} was acknowledged and is lost`);
      if (state === "gone" && listed.has(path)) wrong.push(`${path} is there again`);
    }
    for (const path of listed) {
      if (!this.#names.has(path)) wrong.push(`${path} is there, and nobody made it`);
    }
    return wrong;
  }

  async #step(): Promise<void> {
    const there = [...this.#names].filter(([, state]) => state === "there");
    const [path] = there[Math.floor(this.#random.fraction() * there.length)] ?? [];
    const chance = this.#random.fraction();
    if (path === undefined || (chance < 0.5 && there.length < NAMES_MAX)) return this.#make();
    if (chance < 0.75) return this.#rename(path);
    return this.#remove(path);
  }

  async #make(): Promise<void> {
    const path = this.#fresh();
    const isFile = this.#random.fraction() < 0.5;
    const make = async (): Promise<void> => {
      if (isFile) await this.#client.put(path, EMPTY, { ifNoneMatch: "*" });
      else await this.#client.mkdir(path);
    };
    const outcome = await this.#ledger.call(isFile ? "create" : "mkdir", path, make);
    this.#enter(outcome, { type: "create", path }, { there: path });
  }

  async #rename(from: string): Promise<void> {
    const path = this.#fresh();
    const rename = () => this.#client.rename(from, path);
    const outcome = await this.#ledger.call("rename", from, rename);
    this.#enter(outcome, { type: "rename", path, from }, { there: path, gone: from });
  }

  async #remove(path: string): Promise<void> {
    const remove = () => this.#client.remove(path, { skipTrash: true });
    const outcome = await this.#ledger.call("remove", path, remove);
    this.#enter(outcome, { type: "delete", path }, { gone: path });
  }

  #enter(
    outcome: Outcome<unknown>,
    event: ExpectedEvent,
    result: { readonly there?: string; readonly gone?: string },
  ): void {
    const { there, gone } = result;
    const isDone = outcome.kind === "ok";
    if (outcome.kind === "refused") {
      // Nobody else works here: each refusal is an effect that came twice, or one that was lost.
      this.#ledger.anomaly(`${event.type} ${event.path} was refused with ${outcome.code}`);
    }
    if (there !== undefined) this.#names.set(there, isDone ? "there" : "unknown");
    if (gone !== undefined) this.#names.set(gone, isDone ? "gone" : "unknown");
    if (!isDone) return;
    this.acknowledged.push(event);
    this.#ledger.changed();
  }

  #fresh(): string {
    return `${this.folder}/${this.#count++}`;
  }
}
