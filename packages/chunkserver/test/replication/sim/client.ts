// A client that appends its writes one after the other, each until it is answered, and reads.

import { type Random, type SessionId, sessionId } from "@lumeofs/base";
import type { SimNetwork, World } from "@lumeofs/testkit";
import type { AppendRequest } from "../../../src/replication/primary-state.js";
import { nameOf, type Wire } from "./wire.js";

export interface ClientSurroundings {
  readonly world: World;
  readonly network: SimNetwork<Wire>;
  readonly thinkMsMean: number;
  readonly timeoutMs: number;
  /** The primary of the newest grant, or of some earlier one. */
  primary(): number;
  /** A number that no other write has. */
  nextWrite(): number;
  floor(): number;
}

export class SimClient {
  /** It begins no more writes. */
  isEnding = false;
  #current: AppendRequest | undefined;
  #attempts = 0;
  #reads = 0;
  readonly #name: string;
  readonly #session: SessionId;
  readonly #random: Random;
  readonly #around: ClientSurroundings;

  constructor(number: number, around: ClientSurroundings) {
    this.#name = `c${number}`;
    this.#session = sessionId(number);
    this.#around = around;
    this.#random = around.world.random(this.#name);
    around.network.attach(this.#name, (_, wire) => this.#receive(wire));
    this.#think();
    this.#readOn();
  }

  /** Nothing is under way. */
  get isDone(): boolean {
    return this.#current === undefined;
  }

  #receive(wire: Wire): void {
    if (wire.kind !== "appended" || wire.request !== this.#current?.request) return;
    this.#current = undefined;
    this.#think();
  }

  #think(): void {
    const { world, thinkMsMean } = this.#around;
    world.after(this.#random.fraction() * 2 * thinkMsMean, () => this.#next());
  }

  #next(): void {
    if (this.isEnding) return;
    const write = this.#around.nextWrite();
    this.#current = {
      request: write,
      write: { client: this.#session, writeSeq: write },
      lengthBytes: 1 + (write % 50),
      crc32c: write,
    };
    this.#try();
  }

  #try(): void {
    const request = this.#current;
    if (request === undefined) return;
    this.#send({ kind: "append", request });
    const attempt = ++this.#attempts;
    this.#around.world.after(this.#around.timeoutMs, () => {
      if (attempt === this.#attempts && this.#current === request) this.#try();
    });
  }

  /** Reads again and again, whatever becomes of the appends. */
  #readOn(): void {
    if (this.isEnding) return;
    const { world, thinkMsMean, floor } = this.#around;
    this.#send({ kind: "read", id: ++this.#reads, floor: floor() });
    world.after(this.#random.fraction() * 2 * thinkMsMean, () => this.#readOn());
  }

  #send(wire: Wire): void {
    this.#around.network.send(this.#name, nameOf(this.#around.primary()), wire);
  }
}
