// A machine with a program that uses the SDK.

import type { Lumeo } from "@lumeofs/client";
import { nativeCrc32c } from "@lumeofs/node";
import type { Parts } from "../parts.js";
import { Machine, type Run, type Surroundings } from "./machine.js";

/** What the program does, again and again, until it ends or is ended. */
export type Program = (client: Lumeo, run: Run) => Promise<void>;

export class ClientMachine extends Machine {
  readonly #endpoints: readonly string[];
  readonly #parts: Parts;
  readonly #program: Program;

  constructor(
    name: string,
    what: { readonly endpoints: readonly string[]; readonly program: Program },
    parts: Parts,
    around: Surroundings,
  ) {
    super(name, around);
    this.#endpoints = what.endpoints;
    this.#program = what.program;
    this.#parts = parts;
  }

  protected async launch(run: Run): Promise<void> {
    const { clock, random, rpc, sockets } = run;
    const client = new this.#parts.Lumeo(
      { endpoints: this.#endpoints },
      {
        ...{ clock, timers: clock, random, crc32c: nativeCrc32c },
        ...{ hosts: new Set([this.name]), network: rpc, dataNetwork: sockets },
      },
    );
    await this.#program(client, run);
  }
}
