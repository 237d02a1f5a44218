// What the masters say this server should have, asked of the leader that the link has found.

import { chunkHandle, LumeoError } from "@lumeofs/base";
import { type RpcChannel, unary } from "@lumeofs/node/rpc";
import { FleetService } from "@lumeofs/proto";
import type { AssignedChunks, AssignedPage } from "../disks/assigned-chunks.js";

const TIMEOUT_MS = 10_000;

export interface AssignedCallsPorts {
  /** To the leader; undefined while there is none. */
  readonly leader: () => RpcChannel | undefined;
  /** Who asks. */
  readonly caller: () => { readonly serverId: number; readonly storeUuid: string };
}

/** See the head of this file. */
export class AssignedCalls implements AssignedChunks {
  readonly #ports: AssignedCallsPorts;

  constructor(ports: AssignedCallsPorts) {
    this.#ports = ports;
  }

  async listAssigned(after: number): Promise<AssignedPage> {
    const leader = this.#ports.leader();
    if (leader === undefined) {
      throw new LumeoError("NO_LEADER", "Cannot ask the masters: no leader is known now");
    }
    const asked = { ...this.#ports.caller(), after };
    const answer = await unary(leader, FleetService.listAssigned, asked, { timeoutMs: TIMEOUT_MS });
    const upto = answer.upto ?? 0;
    const isLast = answer.last === true;
    if (!isLast && upto <= after) {
      const message = `Cannot go on: ${leader.address} looked at no chunks behind ${after}`;
      throw new LumeoError("PROTOCOL", message);
    }
    return {
      ...{ upto: isLast ? Number.MAX_SAFE_INTEGER : upto, isLast },
      handles: (answer.handles ?? []).map(chunkHandle),
      grantedUpto: answer.grantedUpto ?? 0,
      grantMs: answer.grantMs ?? 0,
    };
  }
}
