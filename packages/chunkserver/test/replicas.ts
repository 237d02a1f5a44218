// Chunkservers' data services in this process, on loopback, with stores on any Disk; and a client
// that speaks to them as the SDK does.

import {
  type ChunkHandle,
  chunkHandle,
  type Disk,
  type Epoch,
  epoch,
  LumeoError,
  MiB,
  type ServerId,
  SILENT_LOGGER,
  serverId,
} from "@lumeofs/base";
import { nativeCrc32c, SystemClock, SystemTimers } from "@lumeofs/node";
import {
  blockCrcs,
  type ChainLink,
  crcOfBlocks,
  type Exchange,
  FramePool,
  firstBadBlock,
  type WriteDone,
} from "@lumeofs/node/frames";
import { MemoryDisk } from "@lumeofs/testkit";
import { ClosedGrants, GrantGate } from "../src/access/closed-grants.js";
import { type Gate, OPEN_GATE } from "../src/access/token-gate.js";
import { DataService } from "../src/rpc/data-service.js";
import { DiskChunkStore } from "../src/store/disk-chunk-store.js";
import { MemoryIndex } from "../src/store/memory-index.js";
import { SealedFile } from "../src/store/sealed-file.js";
import type { TailMasters } from "../src/tail/tail-masters.js";
import type { TailScrubConfig } from "../src/tail/tail-scrub.js";
import { Tails } from "../src/tail/tails.js";
import { MANDATE_FILE, Mandates } from "../src/transfer/mandates.js";
import { StoppedChunks } from "../src/transfer/stopped-chunks.js";

export interface Replica {
  readonly id: ServerId;
  readonly address: string;
  readonly link: ChainLink;
  readonly disk: Disk;
  readonly store: DiskChunkStore;
  readonly data: DataService;
  readonly stopped: StoppedChunks;
  readonly mandates: Mandates;
  readonly grants: ClosedGrants;
  readonly pool: FramePool;
  readonly tails: Tails;
  close(): Promise<void>;
}

/** Who is asked about growing chunks, and when those are sealed. */
export interface TailSettings {
  readonly masters: TailMasters;
  readonly idleSealMs?: number;
  readonly reportPauseMs?: number;
  readonly scrub?: TailScrubConfig;
}

export interface ReplicaSettings extends TailSettings {
  readonly cachesWrites?: boolean;
}

const nobody = () => Promise.reject(new LumeoError("NO_LEADER", "There are no masters here"));

export const NO_MASTERS: TailMasters = {
  activateEpoch: nobody,
  recordSeal: nobody,
  renewLeases: nobody,
  releaseLeases: nobody,
  endEpoch: nobody,
  doubt: nobody,
  reportTails: nobody,
};

export async function startReplica(
  number: number,
  disk: Disk = new MemoryDisk(),
  gate: Gate = OPEN_GATE,
  { cachesWrites = true, ...tailSettings }: ReplicaSettings = { masters: NO_MASTERS },
): Promise<Replica> {
  const id = serverId(number);
  const store = await DiskChunkStore.open({
    disk,
    index: new MemoryIndex(),
    owner: new Uint8Array(16).fill(number),
    crc32c: nativeCrc32c,
    timers: new SystemTimers({ unref: true }),
    logger: SILENT_LOGGER,
    capacityBytes: undefined,
    lowWaterBytes: 0,
    onFailure: () => undefined,
  });
  const pool = new FramePool({
    hello: () => ({ type: "hello", role: "server", clusterId: "c", name: `cs${number}` }),
  });
  const stopped = await StoppedChunks.open(disk, nativeCrc32c, {
    logger: SILENT_LOGGER,
    onFailure: () => undefined,
  });
  const mandates = await mandatesOn(disk);
  let address = "";
  const timers = new SystemTimers({ unref: true });
  const tails = await Tails.start({
    ...{
      disk,
      store,
      space: store.space,
      pool,
      gate,
      timers,
      crc32c: nativeCrc32c,
      logger: SILENT_LOGGER,
    },
    ...{ idleSealMs: 60_000, reportPauseMs: 60_000 },
    scrub: undefined,
    ...tailSettings,
    owner: new Uint8Array(16).fill(number),
    self: () => ({ server: id, address }),
    clock: new SystemClock(),
    onFailure: () => undefined,
  });
  const grants = new ClosedGrants();
  const data = await DataService.start({
    host: "127.0.0.1",
    port: 0,
    store,
    storeUuid: `u${number}`,
    membership: () => ({ serverId: id, clusterId: "c" }),
    gate: new GrantGate(gate, grants),
    grants,
    tails: tails.service,
    stopped,
    cachesWrites,
    pool,
    crc32c: nativeCrc32c,
    logger: SILENT_LOGGER,
  });
  address = `127.0.0.1:${data.port}`;
  return {
    id,
    address,
    link: { server: id, address },
    disk,
    store,
    data,
    stopped,
    mandates,
    grants,
    pool,
    tails,
    async close() {
      await tails.primaries.close();
      await data.close();
      await pool.close();
      await tails.close();
      await store.close();
    },
  };
}

/** Whose orders a server with this disk obeys. */
export function mandatesOn(disk: Disk): Promise<Mandates> {
  const file = new SealedFile({ disk, crc32c: nativeCrc32c, ...MANDATE_FILE });
  const read = async () => {
    const content = await file.read();
    return content === undefined ? [] : [content];
  };
  const ports = { logger: SILENT_LOGGER, onFailure: () => undefined };
  return Mandates.read({ read, write: (content) => file.write(content) }, ports);
}

export interface Target {
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
  /** Whose record it is; default: that of the server that gets it first. */
  readonly primary?: ServerId;
}

export function target(handle: number, ofEpoch = 1): Target {
  return { handle: chunkHandle(handle), epoch: epoch(ofEpoch) };
}

/** A client of the data plane, with the least that a write and a read need. */
export class DataClient {
  readonly pool = new FramePool({
    hello: () => ({ type: "hello", role: "client", clusterId: "", name: "test" }),
  });

  async writeSmall(
    replicas: readonly Replica[],
    to: Target,
    bytes: Uint8Array,
  ): Promise<WriteDone> {
    const [primary, ...rest] = replicas;
    const connection = await this.pool.shared({ address: primary?.address ?? "" });
    const crcs = blockCrcs([bytes], nativeCrc32c);
    const exchange = connection.request(
      {
        type: "writeSmall",
        ...to,
        chain: rest.map((replica) => replica.link),
        length: bytes.byteLength,
        crc32c: nativeCrc32c(bytes),
        crcs,
      },
      [bytes],
    );
    return answerOf(exchange);
  }

  /** Chunks under handles in a row, to one server. */
  async writeMany(
    replica: Replica,
    to: Target,
    chunks: readonly Uint8Array[],
    sums = chunks.map((bytes) => nativeCrc32c(bytes)),
  ): Promise<WriteDone> {
    const connection = await this.pool.shared({ address: replica.address });
    const numbers = (values: readonly number[]) => new Uint8Array(Uint32Array.from(values).buffer);
    const lengths = numbers(chunks.map(({ byteLength }) => byteLength));
    const fields = { primary: replica.id, ...to, lengths, crcs: numbers(sums) };
    return answerOf(connection.request({ type: "writeMany", ...fields }, [Buffer.concat(chunks)]));
  }

  /** @param pause  Awaited before each frame. */
  async writeLarge(
    replicas: readonly Replica[],
    to: Target,
    bytes: Uint8Array,
    pause?: (offset: number) => Promise<void>,
  ): Promise<WriteDone> {
    const [primary, ...rest] = replicas;
    const lease = await this.pool.exclusive({ address: primary?.address ?? "" });
    const chain = rest.map((replica) => replica.link);
    const exchange = lease.connection.request({ type: "writeOpen", ...to, chain });
    try {
      const answer = answerOf(exchange);
      answer.catch(() => undefined);
      for (let offset = 0; offset < bytes.byteLength; offset += MiB) {
        await pause?.(offset);
        const part = bytes.subarray(offset, offset + MiB);
        const crcs = blockCrcs([part], nativeCrc32c);
        await exchange.send({ type: "writeData", offset, crcs }, [part]);
      }
      const crc32c = nativeCrc32c(bytes);
      exchange.send({ type: "writeClose", length: bytes.byteLength, crc32c });
      return await answer;
    } finally {
      exchange.finish();
      lease.release();
    }
  }

  /** The bytes of [offset, offset + length), checked. */
  async read(replica: Replica, from: Target, offset: number, length: number): Promise<Buffer> {
    const connection = await this.pool.shared({ address: replica.address });
    const exchange = connection.request({ type: "read", ...from, offset, length });
    const pieces: Uint8Array[] = [];
    let start: number | undefined;
    for await (const frame of exchange) {
      const { message, payload } = frame;
      if (message.type === "readEnd") break;
      if (message.type !== "readData") throw new Error(`unexpected ${message.type}`);
      start ??= message.offset;
      if (firstBadBlock(payload, message.crcs, nativeCrc32c) !== undefined) {
        throw new LumeoError("CHECKSUM", "block damaged on the way");
      }
      pieces.push(...payload.map((piece) => Buffer.from(piece)));
      frame.release();
    }
    const skip = offset - (start ?? offset);
    return Buffer.concat(pieces).subarray(skip, skip + length);
  }

  /** Whole chunks in one frame; undefined for each that is not given. */
  async readMany(
    replica: Replica,
    chunks: readonly Target[],
  ): Promise<readonly (Buffer | undefined)[]> {
    const connection = await this.pool.shared({ address: replica.address });
    const exchange = connection.request({ type: "readMany", chunks });
    const { message, payload } = await exchange.receive();
    exchange.finish();
    if (message.type !== "manyData") throw new Error(`unexpected ${message.type}`);
    const lengths = Buffer.from(message.lengths);
    const crcs = Buffer.from(message.crcs);
    const all = Buffer.concat(payload);
    let at = 0;
    return chunks.map((_, i) => {
      const bytes = all.subarray(at, at + lengths.readUInt32LE(4 * i));
      at += bytes.byteLength;
      if (bytes.byteLength === 0) return undefined;
      if (nativeCrc32c(bytes) === crcs.readUInt32LE(4 * i)) return bytes;
      throw new LumeoError("CHECKSUM", "chunk damaged on the way");
    });
  }

  async close(): Promise<void> {
    await this.pool.close();
  }
}

async function answerOf(exchange: Exchange): Promise<WriteDone> {
  try {
    const { message } = await exchange.receive();
    if (message.type !== "writeDone") throw new Error(`unexpected ${message.type}`);
    return message;
  } finally {
    exchange.finish();
  }
}

/** Bytes that differ everywhere and follow from the seed. */
export function sample(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const words = new Uint32Array(bytes.buffer, 0, Math.floor(length / 4));
  let state = (seed * 2_654_435_761 + 12_345) >>> 0;
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    words[i] = state;
  }
  return bytes.fill(seed & 0xff, 4 * words.length);
}

export function crcOf(bytes: Uint8Array): number {
  return crcOfBlocks(blockCrcs([bytes], nativeCrc32c), bytes.byteLength);
}
