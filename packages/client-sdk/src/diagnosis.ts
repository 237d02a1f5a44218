// First aid: what every single process says of itself, whether or not the cluster works as a whole.

import type { MasterStatus } from "./cluster-status.js";
import type { RunCall } from "./metadata-runner.js";
import type { CallOptions } from "./options.js";
import type { DiagnosisClient } from "./rpc/diagnosis-client.js";

/** How a process and its machine are. Sizes are in bytes; 0 where the system does not say. */
export interface ProcessHealth {
  readonly version: string;
  readonly nodeVersion: string;
  readonly upMs: number;
  /** Its calendar clock against this machine's, give or take the error. */
  readonly clockAheadMs: number;
  readonly clockErrorMs: number;
  /** Of the file system that holds its folder. */
  readonly diskBytes: number;
  readonly diskFreeBytes: number;
  /** A few small writes were just made durable: the median, and the slowest. */
  readonly syncMs: number;
  readonly syncMsMax: number;
  /** Why none was; "" if they were. */
  readonly syncFailure: string;
  readonly openFiles: number;
  readonly openFilesMax: number;
}

export interface MasterFacts extends MasterStatus {
  /** Undefined from a master of an earlier release. */
  readonly process: ProcessHealth | undefined;
}

export interface ChunkserverFacts {
  /** 0 if the masters have not taken it in yet. */
  readonly serverId: number;
  /** "serving", "readOnly" or "failed". */
  readonly state: string;
  readonly damaged: number;
  readonly freeBytes: number;
  readonly memoryBytes: number;
  readonly process: ProcessHealth | undefined;
}

/** See the head of this file. Every question is asked once. */
export class Diagnosis {
  readonly #run: RunCall;
  readonly #client: DiagnosisClient;

  constructor(run: RunCall, client: DiagnosisClient) {
    this.#run = run;
    this.#client = client;
  }

  /** @param address  host:port of a master. */
  master(address: string, options: CallOptions = {}): Promise<MasterFacts> {
    return this.#run("diagnosis.master", undefined, options, (call) =>
      this.#client.master(address, { timeoutMs: call.timeoutMs, signal: call.signal }),
    );
  }

  /** @param address  host:port of a chunkserver's control service. */
  chunkserver(address: string, options: CallOptions = {}): Promise<ChunkserverFacts> {
    return this.#run("diagnosis.chunkserver", undefined, options, (call) =>
      this.#client.chunkserver(address, { timeoutMs: call.timeoutMs, signal: call.signal }),
    );
  }

  /** Whether anybody answers at a data plane. @throws LumeoError LUMEO_UNAVAILABLE */
  reach(address: string, options: CallOptions = {}): Promise<void> {
    return this.#run("diagnosis.reach", undefined, options, (call) =>
      call.unlessAborted(this.#client.reach(address)),
    );
  }
}
