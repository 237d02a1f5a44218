// Grants, uploads and sessions that nobody uses any more end. Each table is swept a page at a time;
// the command repeats the condition, so what was used in the meantime stays.

import { type Clock, wallMs } from "@lumeofs/base";
import { idleSessions, idleUploads, oldGrants } from "../metadata/queries.js";
import type { Duty } from "./duty.js";
import type { MetadataLog } from "./metadata-log.js";

const PAGE = 256;

export interface ExpiryLimits {
  readonly intervalMs: number;
  readonly grantMs: number;
  readonly uploadIdleMs: number;
  readonly sessionIdleMs: number;
}

export function grantExpiryDuty(log: MetadataLog, clock: Clock, limits: ExpiryLimits): Duty {
  return {
    name: "grant expiry",
    intervalMs: limits.intervalMs,
    async work() {
      const state = await log.read();
      const unusedSince = wallMs(Math.max(0, clock.wallMs() - limits.grantMs));
      const grants = await oldGrants(state, unusedSince, PAGE);
      if (grants.length === 0) return "done";
      await log.change({ kind: "expireGrants", grants, unusedSince });
      return grants.length < PAGE ? "done" : "more";
    },
  };
}

export function uploadExpiryDuty(log: MetadataLog, clock: Clock, limits: ExpiryLimits): Duty {
  let after = 0;
  return {
    name: "upload expiry",
    intervalMs: limits.intervalMs,
    async work() {
      const state = await log.read();
      const unusedSince = wallMs(Math.max(0, clock.wallMs() - limits.uploadIdleMs));
      const { found, next } = await idleUploads(state, unusedSince, { after, countMax: PAGE });
      if (0 < found.length)
        await log.change({ kind: "expireUploads", uploads: found, unusedSince });
      after = next ?? 0;
      return next === undefined ? "done" : "more";
    },
  };
}

export function sessionExpiryDuty(log: MetadataLog, clock: Clock, limits: ExpiryLimits): Duty {
  let after = 0;
  return {
    name: "session expiry",
    intervalMs: limits.intervalMs,
    async work() {
      const state = await log.read();
      const unusedSince = wallMs(Math.max(0, clock.wallMs() - limits.sessionIdleMs));
      const { found, next } = await idleSessions(state, unusedSince, { after, countMax: PAGE });
      if (0 < found.length) {
        await log.change({ kind: "expireSessions", sessions: found, unusedSince });
      }
      after = next ?? 0;
      return next === undefined ? "done" : "more";
    },
  };
}
