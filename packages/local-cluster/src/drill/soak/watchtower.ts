// What the masters say of the cluster, for those who harm it and those who wait until it is whole.

import { Lumeo } from "@lumeofs/client";
import { waitUntil } from "../../wait-until.js";
import { rest } from "../rest.js";

const LOOK_MS = 2_000;
/** Looking at all chunks costs the leader something. */
const BETWEEN_LOOKS_MS = 500;
const NEVER = new AbortController().signal;

export class Watchtower implements AsyncDisposable {
  readonly client: Lumeo;

  constructor(endpoints: readonly string[]) {
    this.client = new Lumeo({ endpoints, timeoutMs: LOOK_MS });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.client.close({ graceMs: 0 });
  }

  /** Name of the leading master; undefined while nobody says. */
  async leader(): Promise<string | undefined> {
    return (await this.#status())?.leader || undefined;
  }

  /** Whether a member takes part: a master follows the leader, a chunkserver is alive. */
  async takesPart(id: string): Promise<boolean> {
    const status = await this.#status();
    if (status === undefined || status.leader === "") return false;
    const isMaster = status.masters.some(
      (one) => one.id === id && one.leader === status.leader && one.role !== "unreachable",
    );
    return isMaster || status.chunkservers.some((one) => one.id === id && one.state === "alive");
  }

  /** @returns What is still missing of a whole cluster, for people; empty if nothing is. */
  async missing(chunkservers: number): Promise<string> {
    try {
      const { nodes } = await this.client.healing.nodes();
      const able = nodes.filter(
        ({ state, standing }) => state === "alive" && standing === "active",
      );
      if (able.length !== chunkservers) return `${able.length} of ${chunkservers} chunkservers`;
      const damaged = nodes.reduce((sum, node) => sum + node.damaged, 0);
      if (0 < damaged) return `${damaged} damaged copies`;
      const jobs = (await this.client.healing.jobs()).filter(
        ({ endedAt }) => endedAt === undefined,
      );
      if (0 < jobs.length)
        return jobs.map(({ kind, node, note }) => `${kind} ${node}: ${note}`).join();
      for await (const { handle } of this.client.healing.chunks("underReplicated")) {
        return `chunk ${handle} and perhaps others have too few copies`;
      }
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  }

  /**
   * @param steadyMs  It must be so for so long without a break: what is not noticed yet turns up.
   * @returns         What is missing when the time is up; undefined if the cluster is whole.
   */
  async untilWhole(
    chunkservers: number,
    timeoutMs: number,
    steadyMs = 0,
  ): Promise<string | undefined> {
    let missing = "";
    let since: number | undefined;
    const isWhole = async (): Promise<true | undefined> => {
      missing = await this.missing(chunkservers);
      since = missing === "" ? (since ?? performance.now()) : undefined;
      if (since !== undefined && steadyMs <= performance.now() - since) return true;
      await rest(BETWEEN_LOOKS_MS, NEVER);
      return undefined;
    };
    return (await waitUntil(isWhole, { timeoutMs })) === undefined ? missing : undefined;
  }

  async #status() {
    try {
      return await this.client.clusterStatus({ deadlineMs: LOOK_MS });
    } catch {
      return undefined; // the next look tells more
    }
  }
}
