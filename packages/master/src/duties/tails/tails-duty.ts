import type { Duty } from "../duty.js";
import type { TailKeeper } from "./tail-keeper.js";

/** How late a primary that failed is noticed if nobody complains. */
const INTERVAL_MS = 250;

/** Keeps every tail with a primary, and has those sealed whose members are leaving. */
export function tailsDuty(keeper: TailKeeper): Duty {
  return { name: "tails", intervalMs: INTERVAL_MS, work: () => keeper.work() };
}
