// Callers that write and read a few registers, and record every call: the metadata of a file is the
// register. Each round has registers of its own, so that no history grows with the run.

import { setTimeout as delay } from "node:timers/promises";
import { type Lumeo, LumeoError } from "@lumeofs/client";
import { History, type Model } from "@lumeofs/testkit";

const REGISTERS = 4;
const PAUSE_MS = 5;
const EMPTY = new Uint8Array(0);

type Call = { readonly kind: "write"; readonly value: string } | { readonly kind: "read" };
/** What a read saw; a write answers its own value. */
type Answer = string;

/** A register that begins without a file: "". */
const REGISTER: Model<string, Call, Answer> = {
  initial: "",
  step(state, call, answer) {
    if (call.kind === "write") return call.value;
    return answer === undefined || answer === state ? state : undefined;
  },
  print: (state) => state,
};

export class Registers {
  /** Calls that failed in spite of the client's repetitions. */
  failures = 0;
  readonly #history = new History<Call, Answer>();
  #round = 0;
  #values = 0;
  #isOver = false;
  #running: Promise<unknown> = Promise.resolve();

  private constructor() {}

  static async start(clients: readonly Lumeo[]): Promise<Registers> {
    const registers = new Registers();
    await clients[0]?.mkdir("/registers");
    const callers = clients.flatMap((client) =>
      Array.from({ length: REGISTERS }, (_, n) => registers.#run(client, n)),
    );
    registers.#running = Promise.all(callers);
    return registers;
  }

  get count(): number {
    return this.#history.count;
  }

  /** Other registers from now on. */
  beginRound(): void {
    this.#round++;
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  /** "linearizable", or what is wrong. */
  check(): string {
    const verdict = this.#history.check(REGISTER);
    if (verdict.kind === "linearizable") return verdict.kind;
    return `${verdict.kind} at register ${verdict.key}`;
  }

  async #run(client: Lumeo, register: number): Promise<void> {
    for (let n = 0; !this.#isOver; n++) {
      const path = `/registers/${this.#round}-${register}`;
      const call: Call =
        n % 2 === 0 ? { kind: "read" } : { kind: "write", value: String(++this.#values) };
      const pending = this.#history.begin(path, call, () => performance.now());
      try {
        pending.answered(await perform(client, path, call));
      } catch {
        this.failures++;
        if (call.kind === "read") pending.rejected(); // a write may have taken effect
      }
      await delay(PAUSE_MS);
    }
  }
}

async function perform(client: Lumeo, path: string, call: Call): Promise<Answer> {
  if (call.kind === "write") {
    await client.put(path, EMPTY, { metadata: { value: call.value } });
    return call.value;
  }
  try {
    return (await client.stat(path)).metadata["value"] ?? "";
  } catch (error) {
    if (LumeoError.is(error, "LUMEO_NOT_FOUND")) return "";
    throw error;
  }
}
