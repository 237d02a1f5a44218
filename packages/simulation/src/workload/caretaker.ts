// Who looks after the masters: one that has lost what it knew gets a successor with a name of its
// own, and is taken out of the group. Whatever is refused meanwhile is tried again.

import type { Lumeo } from "@lumeofs/client";
import type { Cluster } from "../cluster.js";
import type { MasterMachine } from "../machine/master-machine.js";

const LOOK_MS = 300;
const DEADLINE_MS = 8_000;

export interface CaretakerParts {
  readonly cluster: Cluster;
  /** Lets what faults explain pass. @throws Everything else. */
  readonly expected: (error: unknown) => void;
}

export class Caretaker {
  replaced = 0;
  readonly #parts: CaretakerParts;
  readonly #successors = new Map<MasterMachine, MasterMachine>();

  constructor(parts: CaretakerParts) {
    this.#parts = parts;
  }

  /** A master is to be replaced. */
  get isBusy(): boolean {
    return this.#lost !== undefined;
  }

  /** Goes on for ever, through all ends of its process. */
  async work(client: Lumeo, pause: (ms: number) => Promise<void>): Promise<void> {
    for (;;) {
      await pause(LOOK_MS);
      const lost = this.#lost;
      try {
        // Answers say who the masters are: else it would know none after they have been replaced.
        if (lost === undefined) await client.stat("/", { deadlineMs: DEADLINE_MS });
        else await this.#replace(client, lost);
      } catch (error) {
        this.#parts.expected(error);
      }
    }
  }

  get #lost(): MasterMachine | undefined {
    return this.#parts.cluster.masters.find(({ isLost, isRetired }) => isLost && !isRetired);
  }

  async #replace(client: Lumeo, lost: MasterMachine): Promise<void> {
    const { cluster } = this.#parts;
    const successor = this.#successors.get(lost) ?? cluster.addMaster();
    this.#successors.set(lost, successor);
    const { name: id, address } = successor;
    await client.masters.add([{ id, address }], { deadlineMs: DEADLINE_MS });
    await client.masters.remove([lost.name], { deadlineMs: DEADLINE_MS });
    lost.retire();
    this.replaced++;
  }
}
