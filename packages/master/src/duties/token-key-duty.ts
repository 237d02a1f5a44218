import { type Clock, LumeoError } from "@lumeofs/base";
import { getClusterId } from "../metadata/cluster.js";
import { getTokenKeys } from "../metadata/token-keys.js";
import type { Duty } from "./duty.js";
import type { MetadataLog } from "./metadata-log.js";

/** How often the leader looks whether a new key is due. */
const LOOK_MS_MAX = 30_000;

/** Makes the first key of tokens, and a new one when the newest is older than `everyMs`. */
export function tokenKeyDuty(
  log: MetadataLog,
  clock: Clock,
  keys: { readonly everyMs: number; readonly newSecret: () => Uint8Array },
): Duty {
  return {
    name: "token keys",
    intervalMs: Math.min(keys.everyMs / 4, LOOK_MS_MAX),
    async work() {
      const state = await log.read();
      if (getClusterId(state) === undefined) return "more"; // another duty sees to that
      const newest = getTokenKeys(state)[0];
      if (newest !== undefined && clock.wallMs() - newest.madeAt < keys.everyMs) return "done";
      const after = newest?.key.id ?? 0;
      const reply = await log.change({ kind: "addTokenKey", after, secret: keys.newSecret() });
      if (reply.kind === "refused") throw new LumeoError(reply.code, reply.message);
      return "done";
    },
  };
}
