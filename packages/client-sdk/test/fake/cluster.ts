// A cluster for tests of the client: masters and chunkservers in this process, real protocols over
// loopback, faults on demand.

import { type Closable, LumeoError, SILENT_LOGGER } from "@lumeofs/base";
import { encodeErrorDetail, RpcServer, serveStream, serveUnary } from "@lumeofs/node/rpc";
import { AdminService, ChunkService, lumeo, NamespaceService } from "@lumeofs/proto";
import { Lumeo, type LumeoOptions } from "../../src/index.js";
import { type Ports, systemPorts } from "../../src/ports.js";
import { FakeChunkserver } from "./chunkserver.js";
import { FakeNamespace, type Result } from "./namespace.js";

type Operation = lumeo.master.v1.IOperation;

/** What happens to an operation that arrives at the leader. */
export type Fate = "normal" | "lose answer" | "lose request" | "never answer" | LumeoError;

export class FakeMaster {
  readonly #cluster: FakeCluster;
  readonly #index: number;
  #server: RpcServer | undefined;
  #address = "";
  /** Takes what comes and answers nothing, as a process that was stopped. */
  isStill = false;
  /** Answers queries as a follower of this master. */
  follows: FakeMaster | undefined;
  /** What it gives for whatever the masters keep of files, where it has lost that. */
  keptBytes: Uint8Array | undefined;
  /** Operations in each message that arrived. */
  readonly batches: number[] = [];

  constructor(cluster: FakeCluster, index: number) {
    this.#cluster = cluster;
    this.#index = index;
  }

  get address(): string {
    return this.#address;
  }

  async start(): Promise<void> {
    this.#server = await RpcServer.start(
      { host: "127.0.0.1", port: 0, logger: SILENT_LOGGER, closeGraceMs: 0 },
      [
        serveStream(NamespaceService.operate, async (stream) => {
          for await (const { operations } of stream) {
            if (this.isStill) continue;
            this.batches.push(operations?.length ?? 0);
            const results = (operations ?? []).flatMap((operation) => this.#answer(operation));
            await stream.send({ results });
          }
        }),
        serveUnary(ChunkService.locateChunk, async ({ handle }) => {
          return { chunk: this.#cluster.namespace.locate(handle ?? 0) };
        }),
        serveUnary(ChunkService.reportDamage, async ({ handle, serverId }) => {
          this.#cluster.namespace.damage.push({ handle: handle ?? 0, serverId: serverId ?? 0 });
          return {};
        }),
        serveUnary(AdminService.getClusterStatus, async () => this.#cluster.status(this.#index)),
      ],
    );
    this.#address = this.#server.address;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.close();
  }

  #answer(operation: Operation): lumeo.master.v1.IOperationResult | [] {
    const id = operation.id ?? 0;
    const { leader, namespace } = this.#cluster;
    const isRead = operation.stat ?? operation.list;
    if (this.follows !== undefined && isRead) {
      const shown = { appliedIndex: 7, ageMs: 42, byFollower: true, leader: this.follows.address };
      return { ...execute(namespace, operation, this.keptBytes), ...shown, id };
    }
    if (leader === undefined) return refused(id, new LumeoError("NO_LEADER", "no leader"));
    if (leader !== this) {
      return refused(id, new LumeoError("NOT_LEADER", "not me", { leader: leader.address }));
    }
    const fate = this.#cluster.fate(operation);
    if (fate instanceof LumeoError) return refused(id, fate);
    if (fate === "lose request") throw new LumeoError("CONNECTION_LOST", "request lost");
    if (fate === "never answer") return [];
    const result = execute(namespace, operation, this.keptBytes);
    if (fate === "lose answer") throw new LumeoError("CONNECTION_LOST", "answer lost");
    return { ...result, id };
  }
}

export interface FakeClusterOptions {
  readonly masters?: number;
  readonly chunkservers?: number;
}

export class FakeCluster implements Closable {
  readonly masters: FakeMaster[] = [];
  readonly servers = new Map<number, FakeChunkserver>();
  readonly namespace = new FakeNamespace(this.servers);
  leader: FakeMaster | undefined;
  /** Decides what happens to each operation at the leader. */
  fate: (operation: Operation) => Fate = () => "normal";
  readonly #clients: Lumeo[] = [];

  static async start(options: FakeClusterOptions = {}): Promise<FakeCluster> {
    const cluster = new FakeCluster();
    for (let id = 1; id <= (options.chunkservers ?? 4); id++) {
      cluster.servers.set(id, await FakeChunkserver.start(id, cluster.servers));
    }
    for (let index = 0; index < (options.masters ?? 1); index++) {
      const master = new FakeMaster(cluster, index);
      await master.start();
      cluster.masters.push(master);
    }
    cluster.leader = cluster.masters[0];
    return cluster;
  }

  /**
   * A client whose waits between attempts are short, and that asks servers for everything; it is
   * closed with the cluster.
   */
  client(options: Partial<LumeoOptions> = {}, ports: Ports = systemPorts()): Lumeo {
    const endpoints = this.masters.map(({ address }) => address);
    const retry = { baseDelayMs: 1, maxDelayMs: 5 };
    const client = new Lumeo({ endpoints, retry, localReads: false, ...options }, ports);
    this.#clients.push(client);
    return client;
  }

  server(id: number): FakeChunkserver {
    return this.servers.get(id) as FakeChunkserver;
  }

  /** Lets the n-th operation of a kind have another fate. */
  once(kind: keyof Operation, fate: Fate, count = 1): void {
    let left = count;
    this.fate = (operation) => (operation[kind] && 0 < left-- ? fate : "normal");
  }

  status(asked: number): lumeo.master.v1.IGetClusterStatusResponse {
    const leader = this.leader === undefined ? -1 : this.masters.indexOf(this.leader);
    const masters = this.masters.map(({ address }, i) => ({ id: `m${i + 1}`, address }));
    const chunkservers = [...this.servers.values()].map(({ name, id }) => ({
      ...{ name, serverId: id, standing: lumeo.master.v1.NodeStanding.NODE_STANDING_ACTIVE },
    }));
    const isLeader = asked === leader;
    return {
      clusterId: "fake",
      leader: leader === -1 ? "" : `m${leader + 1}`,
      term: 3,
      masters,
      chunkservers: isLeader ? chunkservers : [],
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close({ graceMs: 0 })));
    await Promise.all(this.masters.map((master) => master.stop()));
    await Promise.all([...this.servers.values()].map((server) => server.stop()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function execute(namespace: FakeNamespace, operation: Operation, kept?: Uint8Array): Result {
  try {
    return namespace.execute(operation, kept);
  } catch (error) {
    if (error instanceof LumeoError) return { error: encodeErrorDetail(error) };
    throw error;
  }
}

function refused(id: number, error: LumeoError): lumeo.master.v1.IOperationResult {
  return { id, error: encodeErrorDetail(error) };
}
