// How much memory and how many open files each process of the drill has, over time.

import { readdirSync } from "node:fs";
import type { LocalCluster } from "@lumeofs/local-cluster";
import { residentMemoryMiB } from "../machine.js";

/** One process from its first look to its last; a restarted member begins anew. */
export interface ProcessLife {
  readonly id: string;
  readonly pid: number;
  readonly looks: { readonly residentMiB: number; readonly openFiles: number }[];
}

const LOOK_MS = 2_000;

export class ProcessWatch implements Disposable {
  readonly #lives = new Map<number, ProcessLife>();
  readonly #cluster: () => LocalCluster;
  readonly #timer: NodeJS.Timeout;

  constructor(cluster: () => LocalCluster) {
    this.#cluster = cluster;
    this.#timer = setInterval(() => this.look(), LOOK_MS);
    this.#timer.unref();
  }

  get lives(): readonly ProcessLife[] {
    return [...this.#lives.values()].filter(({ looks }) => 0 < looks.length);
  }

  look(): void {
    this.#lookAt("drill", process.pid);
    for (const { id, pid } of this.#cluster().members()) if (pid !== null) this.#lookAt(id, pid);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #lookAt(id: string, pid: number): void {
    const residentMiB = residentMemoryMiB(pid);
    const openFiles = countOpenFiles(pid);
    if (residentMiB === undefined || openFiles === undefined) return;
    const life = this.#lives.get(pid) ?? { id, pid, looks: [] };
    this.#lives.set(pid, life);
    life.looks.push({ residentMiB, openFiles });
  }
}

function countOpenFiles(pid: number): number | undefined {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return undefined; // it has ended, or the system does not say
  }
}
