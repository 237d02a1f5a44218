import { type Logger, LumeoError } from "@lumeofs/base";
import type { StoragePorts } from "./storage-queue.js";
import { WAY_OUT } from "./way-out.js";

/**
 * Makes log and state fit each other at the start.
 *
 * Installing a snapshot changes the state first and the log second. A crash in between leaves a
 * state that is ahead of the log, or stands at an entry that the log has with another term: then
 * the log is reset now, as it was about to be. The snapshot file is the proof that this is what
 * happened.
 *
 * @throws CORRUPT if the two do not fit and no snapshot explains it.
 */
export async function recover(ports: StoragePorts, logger: Logger): Promise<void> {
  const { log, state, snapshots } = ports;
  const { durable, durableTerm } = state;
  const isInLog = log.first - 1 <= durable && durable <= log.last;
  if (isInLog && log.termAt(durable) === durableTerm) return;
  const snapshot = snapshots.find({ index: durable, term: durableTerm });
  if (snapshot !== undefined) {
    logger.warn("Finishing the installation of a snapshot", { index: durable, term: durableTerm });
    await log.reset(snapshot.meta);
    return;
  }
  throw new LumeoError(
    "CORRUPT",
    `Cannot start: the state stands at entry ${durable} of term ${durableTerm}, the log holds ` +
      `entries ${log.first} to ${log.last}, and they do not fit. ${WAY_OUT}`,
  );
}
