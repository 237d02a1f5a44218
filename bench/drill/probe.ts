// Asks one master by itself how it is, past the SDK, which would look for the leader.

import { RpcChannel, unary } from "@lumeofs/node/rpc";
import { AdminService } from "@lumeofs/proto";

/** What a master says of itself. */
export interface MasterView {
  readonly id: string;
  /** Name of the master that it takes for the leader; empty if none. */
  readonly leader: string;
  readonly appliedIndex: number;
  /** "index hash" of its whole state; empty unless asked for. */
  readonly state: string;
}

/** @returns What the master at `address` says; undefined if it does not answer in time. */
export async function askMaster(
  address: string,
  options: { readonly timeoutMs: number; readonly stateHash?: boolean },
): Promise<MasterView | undefined> {
  const channel = new RpcChannel(address);
  try {
    const { timeoutMs, stateHash = false } = options;
    const ask = { stateHash };
    const { status } = await unary(channel, AdminService.getMasterStatus, ask, { timeoutMs });
    if (status === undefined || status === null) return undefined;
    return {
      id: status.id ?? "",
      leader: status.leader ?? "",
      appliedIndex: Number(status.appliedIndex ?? 0),
      state: stateHash ? `${status.stateHashIndex} ${status.stateHash}` : "",
    };
  } catch {
    return undefined; // its silence is the answer
  } finally {
    channel.close();
  }
}
