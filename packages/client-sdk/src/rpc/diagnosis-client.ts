// What single processes of the cluster say of themselves, asked one by one and directly: what one
// master says of another is not enough when the cluster is ill.

import type { Clock } from "@lumeofs/base";
import { FramePool } from "@lumeofs/node/frames";
import { RpcChannel, unary } from "@lumeofs/node/rpc";
import { AdminService, ControlService, type lumeo } from "@lumeofs/proto";
import type { ChunkserverFacts, MasterFacts, ProcessHealth } from "../diagnosis.js";
import { decodeMaster, type UnaryOptions } from "./admin-client.js";

export class DiagnosisClient {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async master(address: string, options: UnaryOptions): Promise<MasterFacts> {
    const request = { process: true };
    const { answer, ...times } = await this.#timed(address, (channel) =>
      unary(channel, AdminService.getMasterStatus, request, options),
    );
    const status = decodeMaster(answer.status ?? {});
    return { ...status, process: this.#processOf(answer.process, times) };
  }

  async chunkserver(controlAddress: string, options: UnaryOptions): Promise<ChunkserverFacts> {
    const request = { process: true };
    const { answer, ...times } = await this.#timed(controlAddress, (channel) =>
      unary(channel, ControlService.getStatus, request, options),
    );
    return {
      serverId: answer.serverId ?? 0,
      state: answer.state ?? "",
      damaged: answer.damagedCount ?? 0,
      freeBytes: answer.freeBytes ?? 0,
      memoryBytes: answer.memoryBytes ?? 0,
      process: this.#processOf(answer.process, times),
    };
  }

  /** Opens a connection to a data plane, and lets it go. @throws LumeoError if nobody answers. */
  async reach(dataAddress: string): Promise<void> {
    const hello = () => ({ type: "hello", role: "client", clusterId: "", name: "doctor" }) as const;
    const pool = new FramePool({ hello });
    try {
      await pool.shared({ address: dataAddress, lane: 0 });
    } finally {
      await pool.close();
    }
  }

  async #timed<A>(
    address: string,
    ask: (channel: RpcChannel) => Promise<A>,
  ): Promise<{ readonly answer: A; readonly roundTripMs: number; readonly askedAtMs: number }> {
    const channel = new RpcChannel(address);
    const askedAtMs = this.#clock.wallMs();
    const began = this.#clock.monotonicMs();
    try {
      const answer = await ask(channel);
      return { answer, askedAtMs, roundTripMs: this.#clock.monotonicMs() - began };
    } finally {
      await channel.close();
    }
  }

  #processOf(
    wire: lumeo.common.v1.IProcessFacts | null | undefined,
    times: { readonly roundTripMs: number; readonly askedAtMs: number },
  ): ProcessHealth | undefined {
    if (wire == null) return undefined;
    const { roundTripMs, askedAtMs } = times;
    return {
      version: wire.version ?? "",
      nodeVersion: wire.nodeVersion ?? "",
      upMs: wire.upMs ?? 0,
      // Somewhere between the question and the answer the clock was read.
      clockAheadMs: (wire.nowMs ?? 0) - askedAtMs - roundTripMs / 2,
      clockErrorMs: roundTripMs / 2,
      diskBytes: wire.diskBytes ?? 0,
      diskFreeBytes: wire.diskFreeBytes ?? 0,
      syncMs: (wire.syncUs ?? 0) / 1_000,
      syncMsMax: (wire.syncUsMax ?? 0) / 1_000,
      syncFailure: wire.syncFailure ?? "",
      openFiles: wire.openFiles ?? 0,
      openFilesMax: wire.openFilesMax ?? 0,
    };
  }
}
