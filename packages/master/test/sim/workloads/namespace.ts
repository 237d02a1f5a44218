// The names of a few directories, changed in every way that stays inside of one: each directory is
// an object of its own whose calls must be linearizable.

import type { Command } from "../../../src/metadata/command.js";
import { listPage, type NamedInode, stat } from "../../../src/metadata/queries.js";
import type { StateReader } from "../../../src/metadata/state.js";
import { Calls } from "../calls.js";
import type { Client, Look } from "../client.js";
import { type Call, DIRECTORY, printed } from "./namespace-model.js";
import {
  codeOf,
  commitFile,
  makeDirectory,
  renameFile,
  type Workload,
  type WorkloadParts,
} from "./workload.js";

const NAMES = ["a", "b", "c"];
const PAGE_MAX = 10;

type Read = Extract<Call, { kind: "stat" | "list" }>;
type Change = Exclude<Call, Read>;

export class NamespaceWorkload implements Workload {
  readonly #parts: WorkloadParts;
  readonly #calls: Calls<Call>;

  constructor(parts: WorkloadParts) {
    this.#parts = parts;
    this.#calls = new Calls(parts.world);
  }

  get count(): number {
    return this.#calls.count;
  }

  async setUp(client: Client): Promise<void> {
    for (let i = 1; i <= this.#parts.options.directories; i++) {
      await makeDirectory(client, `/d${i}`);
    }
  }

  async step(client: Client): Promise<void> {
    const directory = `/d${client.integer(1, this.#parts.options.directories)}`;
    const isRead = client.chance(this.#parts.options.readShare);
    if (isRead) await this.#read(client, directory, drawRead(client));
    else await this.#change(client, directory, this.#drawChange(client));
  }

  async finish(client: Client): Promise<void> {
    const tag = this.#parts.nextTag();
    await this.#change(client, "/d1", { kind: "create", name: "z", tag, onlyNew: false });
    await this.#read(client, "/d1", { kind: "stat", name: "z" });
  }

  check(): void {
    this.#calls.mustBeLinearizable(DIRECTORY, this.#parts.outcomes);
  }

  async #read(client: Client, directory: string, call: Read): Promise<void> {
    await this.#calls.read(client, call, directory, lookFor(directory, call));
  }

  async #change(client: Client, directory: string, call: Change): Promise<void> {
    const command = commandOf(directory, call);
    await this.#calls.change(client, call, { key: directory, command, answerOf: codeOf });
  }

  #drawChange(client: Client): Change {
    const name = client.oneOf(NAMES);
    const isStrict = client.chance(0.5);
    switch (client.integer(0, 3)) {
      case 0:
        return { kind: "mkdir", name };
      case 1:
        return { kind: "create", name, tag: this.#parts.nextTag(), onlyNew: isStrict };
      case 2:
        return { kind: "remove", name };
      default:
        return { kind: "rename", from: name, to: client.oneOf(NAMES), overwrite: !isStrict };
    }
  }
}

function drawRead(client: Client): Read {
  const name = client.oneOf(NAMES);
  return client.chance(0.5) ? { kind: "list" } : { kind: "stat", name };
}

function commandOf(directory: string, call: Change): Command {
  const path = (name: string): string => `${directory}/${name}`;
  switch (call.kind) {
    case "mkdir":
      return { kind: "makeDirectory", path: path(call.name), parents: false };
    case "create":
      return commitFile(path(call.name), call.tag, {
        precondition: { kind: call.onlyNew ? "absent" : "none" },
      });
    case "remove":
      return {
        kind: "remove",
        path: path(call.name),
        recursive: false,
        precondition: { kind: "none" },
        skipTrash: true,
        fence: undefined,
      };
    case "rename":
      return renameFile(path(call.from), path(call.to), call.overwrite);
  }
}

function lookFor(directory: string, call: Read): Look {
  if (call.kind === "stat") {
    return (reader) => {
      const found = stat(reader, `${directory}/${call.name}`);
      return found.kind === "refused" ? found.code : shown(found);
    };
  }
  return (reader) => list(reader, directory);
}

async function list(reader: StateReader, directory: string): Promise<string> {
  const page = await listPage(reader, { path: directory, after: "", countMax: PAGE_MAX });
  if (page.kind === "refused") return page.code;
  const prefix = `${directory}/`;
  return printed(new Map(page.entries.map((e) => [e.path.slice(prefix.length), shown(e)])));
}

function shown({ inode }: NamedInode): string {
  return inode.kind === "file" ? `file ${inode.chunkSizeBytes}` : "dir";
}
