// A bank whose money are files and whose accounts are directories: money moves by rename. Whoever
// looks at all accounts at once finds each file in exactly one of them, and all moves and looks
// together are linearizable.

import type { Model } from "@lumeofs/testkit";
import { stat } from "../../../src/metadata/queries.js";
import { Calls } from "../calls.js";
import type { Client, Look } from "../client.js";
import {
  codeOf,
  commitFile,
  makeDirectory,
  mustBe,
  renameFile,
  type Workload,
  type WorkloadParts,
} from "./workload.js";

const ACCOUNTS = ["a1", "a2", "a3"];
const FILES = ["f1", "f2", "f3"];
const FOLDER = "/bank";

export type BankCall =
  | { readonly kind: "look" }
  | { readonly kind: "move"; readonly file: string; readonly from: string; readonly to: string };

/** Where each file is. */
type Bank = Readonly<Record<string, string>>;

export const BANK: Model<Bank, BankCall, string> = {
  initial: Object.fromEntries(FILES.map((file) => [file, "a1"])),
  step: (bank, call, answer) => {
    if (call.kind === "look") return answer === printed(bank) ? bank : undefined;
    const isThere = bank[call.file] === call.from;
    const says = isThere ? "done" : "NOT_FOUND";
    if (answer !== undefined && answer !== says) return undefined;
    return isThere ? { ...bank, [call.file]: call.to } : bank;
  },
  print: printed,
};

function printed(bank: Bank): string {
  return FILES.map((file) => `${file}=${bank[file]}`).join(" ");
}

export class BankWorkload implements Workload {
  readonly #parts: WorkloadParts;
  readonly #calls: Calls<BankCall>;

  constructor(parts: WorkloadParts) {
    this.#parts = parts;
    this.#calls = new Calls(parts.world);
  }

  get count(): number {
    return this.#calls.count;
  }

  async setUp(client: Client): Promise<void> {
    for (const account of ACCOUNTS) await makeDirectory(client, `${FOLDER}/${account}`);
    for (const file of FILES) {
      mustBe(await client.insist(commitFile(`${FOLDER}/a1/${file}`, this.#parts.nextTag())));
    }
  }

  async step(client: Client): Promise<void> {
    if (client.chance(this.#parts.options.readShare)) await this.#look(client);
    else await this.#move(client);
  }

  async finish(client: Client): Promise<void> {
    await this.#move(client);
    await this.#look(client);
  }

  check(): void {
    this.#calls.mustBeLinearizable(BANK, this.#parts.outcomes);
  }

  async #look(client: Client): Promise<void> {
    await this.#calls.read(client, { kind: "look" }, "bank", LOOK);
  }

  async #move(client: Client): Promise<void> {
    const file = client.oneOf(FILES);
    const from = client.oneOf(ACCOUNTS);
    const to = client.oneOf(ACCOUNTS.filter((account) => account !== from));
    const command = renameFile(`${FOLDER}/${from}/${file}`, `${FOLDER}/${to}/${file}`, false);
    const call = { kind: "move", file, from, to } as const;
    await this.#calls.change(client, call, { key: "bank", command, answerOf: codeOf });
  }
}

/** All accounts in one turn. A file that is in none or in two of them is shown as it is. */
const LOOK: Look = (reader) => {
  const homes = FILES.map((file) => {
    const found = ACCOUNTS.filter((account) => {
      return stat(reader, `${FOLDER}/${account}/${file}`).kind === "found";
    });
    return [file, found.join("+")];
  });
  return printed(Object.fromEntries(homes));
};
