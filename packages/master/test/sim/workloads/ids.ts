// Numbers that must be unique: sessions, grants and inodes. Whatever the masters give out, they
// give out once; only a request that is repeated gets what it was given before.

import type { Command, Reply } from "../../../src/metadata/command.js";
import { SafetyViolation } from "../checker.js";
import type { Client } from "../client.js";
import { commitFile, makeDirectory, type Workload, type WorkloadParts } from "./workload.js";

const FOLDER = "/ids";
const FILES = ["i1", "i2", "i3"];

export class IdsWorkload implements Workload {
  readonly #parts: WorkloadParts;
  /** Every number that was given out, with the call that got it. */
  readonly #given = new Map<string, number>();
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
    switch (client.integer(0, 3)) {
      case 0:
        return this.#take(await this.#begin(client.insist({ kind: "openSession" })));
      case 1: {
        const placements = Array.from({ length: client.integer(1, 3) }, () => []);
        return this.#mutate(client, { kind: "allocate", placements, handles: 1 });
      }
      case 2:
        return this.#replace(client);
      default:
        return this.#mutate(client, { kind: "beginUpload", path: `${FOLDER}/upload` });
    }
  }

  async finish(client: Client): Promise<void> {
    await this.#replace(client);
  }

  check(): void {
    // Each number was looked at when it was given out.
  }

  /** A file that is removed and made again is another one. */
  async #replace(client: Client): Promise<void> {
    const path = `${FOLDER}/${client.oneOf(FILES)}`;
    const precondition = { kind: "none" } as const;
    const isRemoval = client.chance(0.4);
    await this.#mutate(
      client,
      isRemoval
        ? {
            kind: "remove",
            path,
            recursive: false,
            precondition,
            skipTrash: true,
            fence: undefined,
          }
        : commitFile(path, 1, { precondition: { kind: "absent" } }),
    );
  }

  async #mutate(client: Client, command: Command): Promise<void> {
    const ending = await this.#begin(client.mutate(command));
    if (ending.kind === "replied") this.#take(ending.reply);
  }

  #begin<T>(call: Promise<T>): Promise<T> {
    this.#count++;
    return call;
  }

  #take(reply: Reply): void {
    switch (reply.kind) {
      case "sessionOpened":
        return this.#give(`session ${reply.session}`);
      case "allocated":
        for (const grant of reply.grants) this.#give(`grant ${grant}`);
        return;
      case "uploadBegun":
        return this.#give(`inode ${reply.upload}`);
      case "file":
        return this.#give(`inode ${reply.inode}`);
      default:
        return;
    }
  }

  #give(id: string): void {
    const before = this.#given.get(id);
    if (before !== undefined) {
      throw new SafetyViolation("S13", `${id} was given out in calls ${before} and ${this.#count}`);
    }
    this.#given.set(id, this.#count);
    this.#parts.world.record(() => `given out: ${id}`);
  }
}
