// A set that only grows: elements are files of one directory, added by everybody, and read as a
// whole, page by page, each page by a read of its own at whatever master serves it.
//
// E1. A read of all shows every element that was acknowledged before it began.
// E2. It shows nothing that nobody had begun to add when it ended, and nothing twice.
// E3. In the end exactly those are there whose addition was done, heard of or not.

import { listPage } from "../../../src/metadata/queries.js";
import { decodeReply } from "../../../src/metadata/reply-codec.js";
import { must } from "../checker.js";
import type { Client, Look } from "../client.js";
import {
  codeOf,
  commitFile,
  makeDirectory,
  type Workload,
  type WorkloadParts,
} from "./workload.js";

const FOLDER = "/set";
const PAGE = 7;
/** Names are compared by their bytes: all have the same length. */
const DIGITS = 6;

export class SetWorkload implements Workload {
  readonly #parts: WorkloadParts;
  readonly #begun = new Set<string>();
  readonly #acknowledged = new Set<string>();
  /** By element, the name of the request whose outcome its client does not know. */
  readonly #open = new Map<string, string>();
  #last: readonly string[] = [];
  #count = 0;

  constructor(parts: WorkloadParts) {
    this.#parts = parts;
  }

  get count(): number {
    return this.#count;
  }

  async setUp(client: Client): Promise<void> {
    await makeDirectory(client, FOLDER);
  }

  async step(client: Client): Promise<void> {
    // A read takes many calls, so there are fewer of them.
    if (client.chance(this.#parts.options.readShare / 3)) await this.#read(client);
    else await this.#add(client);
  }

  async finish(client: Client): Promise<void> {
    await this.#add(client);
    this.#last = (await this.#read(client)) ?? [];
  }

  check(): void {
    const found = new Set(this.#last);
    for (const [element, request] of this.#open) {
      const reply = this.#parts.outcomes.replyTo(request);
      const isDone = reply !== undefined && codeOf(decodeReply(reply)) === "done";
      must(found.has(element) === isDone, "S14", () => {
        return `${element} is ${isDone ? "not" : ""} in the set, though it was never acknowledged`;
      });
    }
  }

  async #add(client: Client): Promise<void> {
    this.#count++;
    const element = `e${String(this.#parts.nextTag()).padStart(DIGITS, "0")}`;
    this.#begun.add(element);
    const precondition = { kind: "absent" } as const;
    const ending = await client.mutate(commitFile(`${FOLDER}/${element}`, 1, { precondition }));
    if (ending.kind === "givenUp") {
      this.#open.set(element, ending.request);
      return;
    }
    const code = codeOf(ending.reply);
    must(code === "done", "S13", () => `the addition of ${element} was answered by ${code}`);
    this.#acknowledged.add(element);
    this.#parts.world.record(() => `${client.name} has added ${element}`);
  }

  /** Everything, or undefined if it was given up. */
  async #read(client: Client): Promise<readonly string[] | undefined> {
    this.#count++;
    const before = [...this.#acknowledged];
    const found: string[] = [];
    for (let after = ""; ; ) {
      const answer = await client.query(pageBehind(after));
      if (answer === undefined) return undefined;
      const names = answer === "" ? [] : answer.split(",");
      found.push(...names);
      if (names.length < PAGE) break;
      after = names.at(-1) ?? "";
    }
    this.#parts.world.record(() => `${client.name} has read ${found.length} elements`);
    const seen = new Set(found);
    must(seen.size === found.length, "S14", () => "an element is in the set twice");
    const lost = before.find((element) => !seen.has(element));
    must(lost === undefined, "S14", () => `${lost} was acknowledged, and is not in the set`);
    const phantom = found.find((element) => !this.#begun.has(element));
    must(phantom === undefined, "S14", () => `${phantom} is in the set, and nobody has added it`);
    return found;
  }
}

function pageBehind(after: string): Look {
  return async (reader) => {
    const page = await listPage(reader, { path: FOLDER, after, countMax: PAGE });
    if (page.kind === "refused") throw new Error(`the set is gone: ${page.message}`);
    return page.entries.map(({ name }) => name).join();
  };
}
