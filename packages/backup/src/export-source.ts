// The state of a running cluster at one revision, from any of its masters.

import { asLumeoError, LumeoError } from "@lumeofs/base";
import { PairSum, type PairTotals } from "@lumeofs/node";
import { download, RpcChannel } from "@lumeofs/node/rpc";
import { BackupService, type lumeo } from "@lumeofs/proto";
import { type BackupMode, isSameBytes, type Origin, type Pair } from "./backup.js";
import { decodeOrigin, encodeMode } from "./format.js";

/** A state being exported. To be closed. */
export interface ExportedState {
  readonly origin: Origin;
  /** In key order, once. Ends with an error if something was lost on the way. */
  readonly pairs: AsyncIterable<Pair>;
  /** Known when all pairs have come. */
  readonly totals: () => PairTotals;
  readonly close: () => Promise<void>;
}

export interface ExportOptions {
  /** host:port of masters, asked one after the other. */
  readonly endpoints: readonly string[];
  readonly mode: BackupMode;
  /** Undefined: as fast as the master allows. */
  readonly bytesPerSecond?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Who cannot be reached, or does not serve now: the next one may. */
const NEXT_CODES: ReadonlySet<string> = new Set([
  "UNAVAILABLE",
  "OVERLOADED",
  "CONNECTION_LOST",
  "NO_LEADER",
  "NOT_LEADER",
  "TIMEOUT",
]);

/**
 * Opens an export at the first master that gives one. Masters that follow are asked first, so that
 * the leader is spared where that can be: the caller sorts them.
 *
 * @throws LumeoError of the last master asked.
 */
export async function openExport(options: ExportOptions): Promise<ExportedState> {
  let failure = new LumeoError("UNAVAILABLE", "Cannot make a backup: no master is known");
  for (const address of options.endpoints) {
    const channel = new RpcChannel(address);
    try {
      return await begin(channel, options);
    } catch (thrown) {
      await channel.close();
      failure = asLumeoError(thrown);
      if (!NEXT_CODES.has(failure.code)) throw failure;
    }
  }
  throw failure;
}

async function begin(channel: RpcChannel, options: ExportOptions): Promise<ExportedState> {
  const { mode, bytesPerSecond = 0, signal } = options;
  const request = { mode: encodeMode(mode), bytesPerSecond };
  const messages = download(channel, BackupService.export, request, { signal });
  const { value } = await messages.next();
  if (value === undefined) throw new LumeoError("PROTOCOL", "Cannot make a backup: empty answer");
  const { origin } = value;
  let totals: PairTotals | undefined;
  const pairs = pairsOf(messages, channel.address, (final) => {
    totals = final;
  });
  return {
    origin: decodeOrigin(channel.address, origin),
    pairs,
    totals: () => {
      if (totals === undefined) throw brokenOff(channel.address);
      return totals;
    },
    close: async () => {
      await messages.return();
      await channel.close();
    },
  };
}

async function* pairsOf(
  messages: AsyncIterable<lumeo.master.v1.IExportResponse>,
  address: string,
  done: (totals: PairTotals) => void,
): AsyncGenerator<Pair, void, undefined> {
  const sum = new PairSum();
  for await (const { records, totals } of messages) {
    for (const { key, value } of records?.records ?? []) {
      if (key == null) throw brokenOff(address);
      const bytes = value ?? new Uint8Array(0);
      sum.add(key, bytes);
      yield [key, bytes];
    }
    if (totals == null) continue;
    const own = sum.totals();
    const isEqual =
      totals.records === own.records && isSameBytes(totals.sha256 ?? NO_BYTES, own.sha256);
    if (!isEqual) throw brokenOff(address);
    done(own);
    return;
  }
  throw brokenOff(address);
}

const NO_BYTES = new Uint8Array(0);

function brokenOff(address: string): LumeoError {
  const message = `Cannot use what master ${address} sent: it is not whole; try again`;
  return new LumeoError("CHECKSUM", message);
}
