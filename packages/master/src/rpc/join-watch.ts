// A master that waits to be taken in: looks for the group that it is to join, and tells people what
// is missing. It asks for nothing: who takes part is decided by an operator, at the group.

import { asLumeoError, type Closable, type Logger, type NodeId, type Timers } from "@lumeofs/base";
import { unary } from "@lumeofs/node/rpc";
import { AdminService } from "@lumeofs/proto";
import type { GroupControl } from "../consensus/group.js";
import type { ChannelPool } from "./channel-pool.js";

const PAUSE_MS = 5_000;
const TIMEOUT_MS = 2_000;

export interface JoinWatchParts {
  readonly id: NodeId;
  readonly address: string;
  /** Masters of the group, host:port. */
  readonly join: readonly string[];
  readonly group: GroupControl;
  readonly channels: ChannelPool;
  readonly timers: Timers;
  readonly logger: Logger;
}

export class JoinWatch implements Closable {
  readonly #parts: JoinWatchParts;
  readonly #alarm: { cancel(): void } | undefined;
  #turn = 0;
  /** What was said last: it is not said again. */
  #said = "";

  /** Does nothing for a master that is in a group. */
  constructor(parts: JoinWatchParts) {
    this.#parts = parts;
    if (!this.#isWaiting) return;
    void this.#look();
    this.#alarm = parts.timers.every(PAUSE_MS, () => void this.#look());
  }

  async close(): Promise<void> {
    this.#alarm?.cancel();
  }

  get #isWaiting(): boolean {
    return this.#parts.group.memberships.current.voters.length === 0;
  }

  async #look(): Promise<void> {
    if (!this.#isWaiting) return this.#alarm?.cancel();
    const { id, address, join, channels } = this.#parts;
    const asked = join[this.#turn++ % join.length];
    if (asked === undefined) return;
    try {
      const options = { timeoutMs: TIMEOUT_MS };
      const status = await unary(channels.to(asked), AdminService.getClusterStatus, {}, options);
      const names = (status.masters ?? []).map((master) => master.id ?? "");
      const wish = `lumeo --endpoints ${asked} master add ${id}=${address || "host:port"}`;
      this.#say(
        names.includes(id)
          ? `The group knows a master "${id}" already: start this one under a new name`
          : `Waiting to be taken in by the masters ${names.join(", ")}: ${wish}`,
      );
    } catch (error) {
      this.#say(`The master to join does not answer at ${asked}: ${asLumeoError(error).message}`);
    }
  }

  #say(text: string): void {
    if (text === this.#said || !this.#isWaiting) return;
    this.#said = text;
    this.#parts.logger.info(text, { component: "join" });
  }
}
