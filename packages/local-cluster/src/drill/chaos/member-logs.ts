// What the members of a drill have written into their logs, also of those that were removed with
// their folders: each log gets a second name as soon as it is there.

import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** One line that should not be there. */
export interface Suspicion {
  readonly member: string;
  readonly text: string;
}

const LOOK_MS = 100;
/** Of lines that are shown to people. */
const SHOWN_MAX = 400;
/** What a log may not say, besides what is no log line at all, such as a warning of Node. */
const BAD = /process crashed|ALARM|start failed|closing took too long|closing failed|call failed/;

export class MemberLogs implements Disposable {
  readonly #cluster: string;
  readonly #kept: string;
  readonly #known = new Map<number, { readonly member: string; readonly file: string }>();
  readonly #timer: NodeJS.Timeout;

  /** @param kept  A folder of the same file system, outside of the cluster's. */
  constructor(cluster: string, kept: string) {
    this.#cluster = cluster;
    this.#kept = kept;
    mkdirSync(kept, { recursive: true });
    this.#timer = setInterval(() => this.look(), LOOK_MS);
    this.#timer.unref();
  }

  /** Keeps what is there now. */
  look(): void {
    for (const member of readdirSync(this.#cluster)) {
      const log = join(this.#cluster, member, "log");
      if (!existsSync(log)) continue;
      const { ino } = statSync(log);
      if (this.#known.has(ino)) continue;
      const file = join(this.#kept, `${member}-${this.#known.size}`);
      linkSync(log, file);
      this.#known.set(ino, { member, file });
    }
  }

  /** How much a member's present log has. */
  length(member: string): number {
    return this.#read(member).length;
  }

  /** What a member's present log says behind a position. */
  since(member: string, position: number): string {
    return this.#read(member).slice(position);
  }

  /** Everything that should not be there. */
  suspicions(): readonly Suspicion[] {
    this.look();
    return [...this.#known.values()].flatMap(({ member, file }) => {
      const lines = readFileSync(file, "utf8").split("\n");
      const bad = lines.filter((line) => line !== "" && (!line.startsWith("{") || BAD.test(line)));
      return bad.map((line) => ({ member, text: line.slice(0, SHOWN_MAX) }));
    });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #read(member: string): string {
    const log = join(this.#cluster, member, "log");
    return existsSync(log) ? readFileSync(log, "utf8") : "";
  }
}
