// Directories as lists: a file that is made is put at the end of one, a rename takes it out of one
// and puts it into another, and a look sees all of them at once. What was seen must fit one order
// of all these transactions (transactions.ts of testkit), and in the end everything is there that
// anybody was told of, and nothing else.

import { checkTransactions, type Step, type Transaction } from "@lumeofs/testkit";
import type { Reply } from "../../../src/metadata/command.js";
import { decodeEntry } from "../../../src/metadata/inode-record.js";
import { entriesAfter, nameOf } from "../../../src/metadata/keys.js";
import { stat } from "../../../src/metadata/queries.js";
import { decodeReply } from "../../../src/metadata/reply-codec.js";
import { SafetyViolation } from "../checker.js";
import type { Client, Ending, Look } from "../client.js";
import {
  codeOf,
  commitFile,
  makeDirectory,
  renameFile,
  type Workload,
  type WorkloadParts,
} from "./workload.js";

const FOLDER = "/lists";
const LISTS = ["l1", "l2", "l3"];
const ELEMENTS_MAX = 5_000;

interface Begun {
  readonly steps: readonly Step[];
  readonly begin: number;
}

export class ListsWorkload implements Workload {
  readonly #parts: WorkloadParts;
  readonly #done: Transaction[] = [];
  /** Given up: what became of them is known at the end. */
  readonly #open: (Begun & { readonly request: string })[] = [];
  /** Where each client has its elements: it alone moves them, each from list to list in order. */
  readonly #own = new Map<string, Map<string, number>>();
  #count = 0;

  constructor(parts: WorkloadParts) {
    this.#parts = parts;
  }

  get count(): number {
    return this.#count;
  }

  async setUp(client: Client): Promise<void> {
    for (const list of LISTS) await makeDirectory(client, `${FOLDER}/${list}`);
  }

  async step(client: Client): Promise<void> {
    const own = this.#own.get(client.name) ?? new Map<string, number>();
    this.#own.set(client.name, own);
    const movable = [...own].filter(([, at]) => at < LISTS.length - 1);
    if (client.chance(this.#parts.options.readShare)) await this.#look(client);
    else if (0 < movable.length && client.chance(0.5)) {
      const [element, at] = client.oneOf(movable);
      await this.#move(client, element, at);
    } else {
      await this.#put(client, client.integer(0, LISTS.length - 1));
    }
  }

  async finish(client: Client): Promise<void> {
    await this.#put(client, 0);
    await this.#look(client);
  }

  check(): void {
    for (const { request, ...begun } of this.#open) {
      const reply = this.#parts.outcomes.replyTo(request);
      const isDone = reply !== undefined && codeOf(decodeReply(reply)) === "done";
      this.#add(begun, isDone ? "done" : "refused", Number.POSITIVE_INFINITY);
    }
    const verdict = checkTransactions(this.#done);
    if (verdict.kind === "violation") throw new SafetyViolation("S14", verdict.what);
  }

  async #put(client: Client, at: number): Promise<void> {
    const [element, list] = [`e${this.#parts.nextTag()}`, LISTS[at] as string];
    const begun = this.#begin([{ kind: "put", list, element }]);
    const path = `${FOLDER}/${list}/${element}`;
    const ending = await client.mutate(commitFile(path, 1, { precondition: { kind: "absent" } }));
    if (this.#end(client, begun, ending)) this.#own.get(client.name)?.set(element, at);
  }

  async #move(client: Client, element: string, at: number): Promise<void> {
    const [from, to] = [LISTS[at] as string, LISTS[at + 1] as string];
    const begun = this.#begin([
      { kind: "take", list: from, element },
      { kind: "put", list: to, element },
    ]);
    const [source, target] = [`${FOLDER}/${from}/${element}`, `${FOLDER}/${to}/${element}`];
    const ending = await client.mutate(renameFile(source, target, false));
    const own = this.#own.get(client.name);
    // A client does not touch again what it does not know the place of.
    if (this.#end(client, begun, ending)) own?.set(element, at + 1);
    else own?.delete(element);
  }

  async #look(client: Client): Promise<void> {
    const { begin } = this.#begin([]);
    const answer = await client.query(LOOK);
    if (answer === undefined) return;
    const steps: Step[] = answer.split("|").map((text, i) => {
      const elements = text === "" ? [] : text.split(",");
      return { kind: "saw", list: LISTS[i] as string, elements };
    });
    this.#add({ steps, begin }, "done", this.#parts.world.now);
    this.#parts.world.record(() => `${client.name} saw ${answer}`);
  }

  #begin(steps: readonly Step[]): Begun {
    this.#count++;
    return { steps, begin: this.#parts.world.now };
  }

  /** Whether it is known to be done. */
  #end(client: Client, begun: Begun, ending: Ending): boolean {
    if (ending.kind === "givenUp") {
      this.#open.push({ ...begun, request: ending.request });
      return false;
    }
    const isDone = codeOf(ending.reply) === "done";
    this.#add(begun, isDone ? "done" : "refused", this.#parts.world.now);
    this.#parts.world.record(() => {
      return `${client.name} ${JSON.stringify(begun.steps)} = ${shown(ending.reply)}`;
    });
    return isDone;
  }

  #add({ steps, begin }: Begun, outcome: Transaction["outcome"], end: number): void {
    const name = `T${this.#done.length}`;
    this.#done.push({ name, steps, outcome, begin, end });
  }
}

/** All lists in one turn, each in the order in which its elements came there. */
const LOOK: Look = async (reader) => {
  const folders = LISTS.map((list) => stat(reader, `${FOLDER}/${list}`));
  const ranges = folders.map((folder) => {
    if (folder.kind === "refused") throw new Error(`a list is gone: ${folder.message}`);
    const { from, to } = entriesAfter(folder.id, "");
    return reader.range(from, to, ELEMENTS_MAX);
  });
  const lists = (await Promise.all(ranges)).map((pairs) => {
    const elements = pairs.map(([key, value]) => {
      return { name: nameOf(key), since: decodeEntry(value).since };
    });
    elements.sort((a, b) => a.since - b.since);
    return elements.map(({ name }) => name).join();
  });
  return lists.join("|");
};

function shown(reply: Reply): string {
  return reply.kind === "refused" ? `${reply.code} ${reply.message}` : reply.kind;
}
