// Three members of etcd on loopback, on the same disk as the store that they are compared with, and
// the few calls of its v3 API that the comparison needs.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { RpcChannel, unary } from "@lumeofs/node/rpc";
import { freePorts, stopServer } from "../servers.js";
import { GrpcConnection } from "./grpc-connection.js";

const HOST = "127.0.0.1";
const MEMBERS = 3;
/** Connections to each member: etcd's own benchmark gains nothing from more. */
const CONNECTIONS = 4;
const READY_MS_MAX = 20_000;
const CALL_TIMEOUT_MS = 30_000;

const PUT = "/etcdserverpb.KV/Put";
const RANGE = "/etcdserverpb.KV/Range";
const STATUS = "/etcdserverpb.Maintenance/Status";

/**
 * Who calls: grpc-js as any program on Node has it, or hand-written frames, which cost this process
 * so little that it is etcd itself that is measured.
 */
export type EtcdClient = "grpc-js" | "frames";

interface Connections {
  readonly frames: GrpcConnection[];
  readonly channels: readonly RpcChannel[];
}

/** Version of the installed etcd, or undefined if there is none. */
export function etcdVersion(): string | undefined {
  const { status, stdout } = spawnSync("etcd", ["--version"], { encoding: "utf8" });
  if (status !== 0) return undefined;
  return /etcd Version: (\S+)/.exec(stdout)?.[1] ?? "unknown";
}

/** A running group. */
export class EtcdCluster {
  readonly #children: readonly ChildProcess[];
  readonly #connections: Connections[] = [];
  #leader = 0;
  #turn = 0;

  private constructor(children: readonly ChildProcess[]) {
    this.#children = children;
  }

  /** Starts a new group in `folder` and waits for its leader. */
  static async start(folder: string): Promise<EtcdCluster> {
    const ports = await freePorts(2 * MEMBERS, HOST);
    const names = Array.from({ length: MEMBERS }, (_, i) => `e${i + 1}`);
    const client = (i: number): string => `http://${HOST}:${ports[2 * i]}`;
    const peer = (i: number): string => `http://${HOST}:${ports[2 * i + 1]}`;
    const group = names.map((name, i) => `${name}=${peer(i)}`).join(",");
    const children: ChildProcess[] = [];
    for (const [i, name] of names.entries()) {
      const dir = join(folder, name);
      await mkdir(dir, { recursive: true });
      await using log = await open(join(folder, `${name}.log`), "a");
      const args = [
        ...["--name", name, "--data-dir", dir, "--logger", "zap", "--log-level", "error"],
        ...["--listen-client-urls", client(i), "--advertise-client-urls", client(i)],
        ...["--listen-peer-urls", peer(i), "--initial-advertise-peer-urls", peer(i)],
        ...["--initial-cluster", group, "--initial-cluster-state", "new"],
      ];
      children.push(spawn("etcd", args, { stdio: ["ignore", log.fd, log.fd] }));
    }
    const cluster = new EtcdCluster(children);
    try {
      await cluster.#connect(names.map((_, i) => ports[2 * i] as number));
      return cluster;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  get pids(): readonly number[] {
    return this.#children.map((child) => child.pid ?? 0);
  }

  /** A durable write, at the leader: nothing is forwarded. */
  async put(client: EtcdClient, key: string, value: string): Promise<void> {
    const request = Buffer.concat([bytes(1, key), bytes(2, value)]);
    await this.#call(client, this.#leader, { path: PUT, request });
  }

  /** A linearizable read of a key that exists, at the leader or at all members in turn. */
  async get(client: EtcdClient, key: string, at: "leader" | "all"): Promise<void> {
    this.#turn++;
    const member = at === "leader" ? this.#leader : this.#turn % MEMBERS;
    const answer = await this.#call(client, member, { path: RANGE, request: bytes(1, key) });
    if (!answer.includes(key)) throw new Error(`etcd does not have ${key}`);
  }

  /** Ends the members: asked first, killed after a while. */
  async close(): Promise<void> {
    for (const { frames, channels } of this.#connections) {
      for (const connection of frames) connection.close();
      await Promise.all(channels.map((channel) => channel.close()));
    }
    await Promise.all(this.#children.map(stopServer));
  }

  #call(
    client: EtcdClient,
    member: number,
    call: { readonly path: string; readonly request: Buffer },
  ): Promise<Buffer> {
    const { frames, channels } = this.#connections[member] as Connections;
    const turn = this.#turn++ % CONNECTIONS;
    if (client === "frames") {
      return (frames[turn] as GrpcConnection).call(call.path, call.request);
    }
    const options = { timeoutMs: CALL_TIMEOUT_MS };
    return unary(channels[turn] as RpcChannel, methodOf(call.path), call.request, options);
  }

  async #connect(ports: readonly number[]): Promise<void> {
    const end = performance.now() + READY_MS_MAX;
    for (const port of ports) {
      const frames: GrpcConnection[] = [];
      const address = `${HOST}:${port}`;
      const channels = Array.from({ length: CONNECTIONS }, () => new RpcChannel(address));
      this.#connections.push({ frames, channels });
      while (frames.length < CONNECTIONS) {
        try {
          frames.push(await GrpcConnection.open(HOST, port));
        } catch (error) {
          if (end < performance.now()) throw error;
          await delay(50);
        }
      }
    }
    for (let leader = -1; leader < 0; leader = await this.#findLeader()) {
      if (end < performance.now()) throw new Error("etcd has no leader");
      await delay(50);
    }
  }

  /** Position of the leader, or -1 while there is none. */
  async #findLeader(): Promise<number> {
    for (const [i, { frames }] of this.#connections.entries()) {
      const answer = await frames[0]?.call(STATUS, Buffer.alloc(0)).catch(() => undefined);
      if (answer === undefined) continue;
      const header = fieldOf(answer, 1);
      const self = Buffer.isBuffer(header) ? fieldOf(header, 2) : undefined;
      if (typeof self === "bigint" && self !== 0n && self === fieldOf(answer, 4)) {
        this.#leader = i;
        return i;
      }
    }
    return -1;
  }
}

/** Messages are bytes already. */
function methodOf(path: string): Parameters<typeof unary<Buffer, Buffer>>[1] {
  const same = (message: Buffer): Buffer => message;
  return {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

/** A protobuf field of bytes. */
function bytes(field: number, text: string): Buffer {
  const value = Buffer.from(text);
  const length: number[] = [];
  for (let rest = value.byteLength; ; rest >>>= 7) {
    if (rest < 0x80) {
      length.push(rest);
      break;
    }
    length.push((rest & 0x7f) | 0x80);
  }
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...length]), value]);
}

/** The first value of a field in a protobuf message of numbers and bytes. */
function fieldOf(message: Buffer, wanted: number): bigint | Buffer | undefined {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++] ?? 0;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.byteLength) {
    const tag = Number(varint());
    const number = varint();
    const isBytes = (tag & 7) === 2;
    const value = isBytes ? message.subarray(at, at + Number(number)) : number;
    if (isBytes) at += Number(number);
    if (tag >>> 3 === wanted) return value;
  }
  return undefined;
}
