// What looks after tails, with primaries that only write down what they are told.

import { type Clock, LEASE_TERMS, SILENT_LOGGER, serverId, type Timers } from "@lumeofs/base";
import { nativeHmacSha256 } from "@lumeofs/node";
import { TokenMint } from "../src/access/token-mint.js";
import type { MetadataLog } from "../src/duties/metadata-log.js";
import { TailGate } from "../src/duties/tails/tail-gate.js";
import { TailKeeper, type TailKeeperParts } from "../src/duties/tails/tail-keeper.js";
import type { EpochOrder, TailOrders } from "../src/duties/tails/tail-orders.js";
import type { Fleet } from "../src/fleet/servers.js";
import type { Server } from "../src/metadata/servers.js";
import { LeaseBook } from "../src/tails/lease-book.js";

export type SealOrder = Parameters<TailOrders["sealTail"]>[1];

/** Obeys at once. */
export class ObedientPrimaries implements TailOrders {
  readonly begun: { readonly name: string; readonly order: EpochOrder }[] = [];
  readonly sealed: { readonly name: string; readonly tail: SealOrder }[] = [];
  /** What a primary does when it is told to begin. */
  onBegin: (server: Server, order: EpochOrder) => Promise<"begun" | "ended"> = async () => "begun";
  onSeal: (server: Server, tail: SealOrder, signal: AbortSignal) => Promise<boolean> = async () =>
    true;

  beginEpoch(server: Server, order: EpochOrder): Promise<"begun" | "ended"> {
    this.begun.push({ name: server.name, order });
    return this.onBegin(server, order);
  }

  sealTail(server: Server, tail: SealOrder, signal: AbortSignal): Promise<boolean> {
    this.sealed.push({ name: server.name, tail });
    return this.onSeal(server, tail, signal);
  }
}

export function tailOffice(
  parts: { readonly log: MetadataLog; readonly fleet: Fleet; readonly clock: Clock & Timers },
  orders: TailOrders = new ObedientPrimaries(),
): { readonly keeper: TailKeeper; readonly gate: TailGate } {
  const { log, fleet, clock } = parts;
  const mint = new TokenMint({ clock, hmac: nativeHmacSha256, lifeMs: 1_000 });
  const leases = new LeaseBook(LEASE_TERMS, clock.monotonicMs());
  const repeatMs = 120_000;
  const logger = SILENT_LOGGER;
  const spares: TailKeeperParts["spares"] = async (count, taken) => {
    const free = [1, 2, 3, 4].map(serverId).filter((server) => !taken.includes(server));
    const now = clock.monotonicMs();
    return free.filter((one) => fleet.liveness(one, now) === "alive").slice(0, count);
  };
  const known = { log, fleet, clock, timers: clock, orders, leases, mint };
  const care = { ...known, spares, repeatMs, logger };
  const keeper = new TailKeeper(care);
  return { keeper, gate: new TailGate(log, keeper) };
}
