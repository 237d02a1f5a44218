// Orders to convert chunks, over gRPC to the control services of chunkservers.

import { LumeoError, serverId } from "@lumeofs/base";
import { unary } from "@lumeofs/node/rpc";
import { ControlService, type lumeo } from "@lumeofs/proto";
import type {
  TranscodeOrder,
  TranscodeOutcome,
  Transcoding,
} from "../duties/conversion/transcoding.js";
import type { Holder, SourceFault } from "../duties/orders.js";
import type { Server } from "../metadata/servers.js";
import type { ChannelPool } from "./channel-pool.js";
import { encodeChunkRef, encodeCode } from "./coding-wire.js";

/** A whole chunk is read and written by disks that have other things to do. */
const TIMEOUT_MS = 120_000;
/** How many conversions may share a limit before one of them runs out of time. */
const SHARING = 8;

/** What servers show each other when they obey: to read the source, and to write the target. */
export interface TranscodeTokens {
  readonly source: Uint8Array;
  readonly target: Uint8Array;
}

/** See the head of this file. */
export class TranscodeClient implements Transcoding {
  readonly #channels: ChannelPool;
  readonly #tokensFor: (order: TranscodeOrder, withinMs: number) => TranscodeTokens;

  constructor(
    channels: ChannelPool,
    tokensFor: (order: TranscodeOrder, withinMs: number) => TranscodeTokens,
  ) {
    this.#channels = channels;
    this.#tokensFor = tokensFor;
  }

  async transcode(worker: Server, order: TranscodeOrder): Promise<TranscodeOutcome> {
    const timeoutMs = timeoutOf(order);
    const tokens = this.#tokensFor(order, timeoutMs);
    const { source, target, signal } = order;
    const request: lumeo.chunkserver.v1.ITranscodeRequest = {
      source: encodeChunkRef({ ...source.chunk, handle: source.handle }),
      holders: source.holders.map((one) => (one === undefined ? {} : { holder: holderOf(one) })),
      sourceToken: tokens.source,
      targetHandle: target.handle,
      targetEpoch: target.epoch,
      ...(target.code === undefined ? {} : { targetCode: encodeCode(target.code) }),
      targets: target.holders.map(holderOf),
      targetToken: tokens.target,
      bytesPerSecondMax: order.bytesPerSecondMax,
    };
    const channel = this.#channels.to(worker.controlAddress);
    const answer = await unary(channel, ControlService.transcode, request, { timeoutMs, signal });
    const faults = (answer.faults ?? []).map(decodeFault);
    if (answer.done !== true) return { kind: "noSource", why: answer.why ?? "", faults };
    const unitCrcs = answer.unitCrcs ?? [];
    const { code } = target;
    if (code !== undefined && unitCrcs.length !== code.data + code.parity) {
      throw new LumeoError("PROTOCOL", "A chunkserver told too few checksums of units");
    }
    return { kind: "done", unitCrcs, faults };
  }
}

function timeoutOf({ source, bytesPerSecondMax }: TranscodeOrder): number {
  if (bytesPerSecondMax === 0) return TIMEOUT_MS;
  const seconds = (SHARING * source.chunk.lengthBytes) / bytesPerSecondMax;
  return TIMEOUT_MS + Math.ceil(seconds * 1_000);
}

function holderOf({ id, server }: Holder): lumeo.chunkserver.v1.IReplicaHolder {
  return { serverId: id, dataAddress: server.dataAddress };
}

function decodeFault(wire: lumeo.chunkserver.v1.ISourceFault): SourceFault {
  return { server: serverId(wire.serverId ?? 0), isBad: wire.bad ?? false, why: wire.why ?? "" };
}
