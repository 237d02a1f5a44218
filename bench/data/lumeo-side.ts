// LumeoFS as one side of the comparison: a cluster of its own processes, driven through the SDK by
// this process.

import { join } from "node:path";
import { connect, type Lumeo } from "@lumeofs/client";
import { LocalCluster } from "@lumeofs/local-cluster";
import { getLarge, putLarge } from "../load/put-get.js";
import { getSmall, putSmall, type SmallResult } from "../load/small-files.js";
import { CLIENTS, type DataSide, type SmallFiles } from "./side.js";

export class LumeoDataSide implements DataSide {
  readonly name = "LumeoFS";
  readonly #cluster: LocalCluster;
  readonly #clients: readonly Lumeo[];
  /** As many that read no files of chunkservers themselves. */
  readonly #remote: readonly Lumeo[];

  private constructor(cluster: LocalCluster, clients: readonly Lumeo[], remote: readonly Lumeo[]) {
    this.#cluster = cluster;
    this.#clients = clients;
    this.#remote = remote;
  }

  /** Starts three masters and `chunkservers` chunkservers below `folder`. */
  static async start(folder: string, chunkservers: number): Promise<LumeoDataSide> {
    const dir = join(folder, "lumeo");
    const cluster = await LocalCluster.start({ dir, chunkservers, portBase: "free" });
    try {
      await cluster.waitReady();
      const endpoints = [...cluster.endpoints];
      const connected = (localReads: boolean): Promise<Lumeo[]> => {
        const all = Array.from({ length: CLIENTS }, () => connect({ endpoints, localReads }));
        return Promise.all(all);
      };
      return new LumeoDataSide(cluster, await connected(true), await connected(false));
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  processes(): ReadonlyMap<string, number> {
    const members = this.#cluster.members().flatMap(({ id, pid }) => {
      return pid === null ? [] : [[id, pid] as const];
    });
    return new Map([["client", process.pid], ...members]);
  }

  loadCpuSeconds(): number {
    return 0; // this process sends it
  }

  putLarge(path: string, bytes: number, clients: number): Promise<number> {
    return seconds(this.#clients.slice(0, clients), (client, n) => {
      return putLarge(client, `/${path}-${n}`, bytes / clients);
    });
  }

  getLarge(path: string, _bytes: number, clients: number): Promise<number> {
    return seconds(this.#clients.slice(0, clients), (client, n) => {
      return getLarge(client, `/${path}-${n}`);
    });
  }

  getLargeFromServers(path: string, _bytes: number, clients: number): Promise<number> {
    return seconds(this.#remote.slice(0, clients), (client, n) => {
      return getLarge(client, `/${path}-${n}`);
    });
  }

  putSmall(load: SmallFiles): Promise<SmallResult> {
    return putSmall(this.#one, { ...load, folder: `/${load.folder}` });
  }

  getSmall(load: SmallFiles): Promise<SmallResult> {
    return getSmall(this.#one, { ...load, folder: `/${load.folder}` });
  }

  /** The SDK keeps no file contents. */
  async forget(): Promise<void> {}

  async close(): Promise<void> {
    await Promise.all([...this.#clients, ...this.#remote].map((client) => client.close()));
    await this.#cluster.close();
  }

  get #one(): Lumeo {
    return this.#clients[0] as Lumeo;
  }
}

async function seconds(
  clients: readonly Lumeo[],
  run: (client: Lumeo, n: number) => Promise<unknown>,
): Promise<number> {
  const began = performance.now();
  await Promise.all(clients.map(run));
  return (performance.now() - began) / 1000;
}
