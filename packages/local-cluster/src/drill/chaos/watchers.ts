// Watchers of the change feed: one that only listens, one that is slow to take what comes, and one
// that gives up again and again and goes on where it was. All must hear the same.
//
// F1. Positions grow from event to event: nothing is told twice, nothing out of order.
// F2. All watchers hear the same events, and so does whoever asks for all of them afterwards.
// F3. Every acknowledged change is told exactly once; any other event on a name of the callers is
//     of a change whose outcome they do not know.

import type { Random } from "@lumeofs/base";
import type { FsEvent, Lumeo } from "@lumeofs/client";
import type { Ledger } from "../ledger.js";
import { rest } from "../rest.js";
import type { NameKeeper } from "./names.js";

export type WatcherKind = "steady" | "slow" | "resuming";

const SLOW_MS_MAX = 25;
/** Events after which a resuming watcher gives up, at most. */
const PATIENCE_MAX = 300;
/** A slow watcher is slow as long as this is not over. */
const NOTHING = new AbortController().signal;

export class Watcher {
  readonly kind: WatcherKind;
  readonly events: FsEvent[] = [];
  readonly #client: Lumeo;
  readonly #ledger: Ledger;

  constructor(kind: WatcherKind, client: Lumeo, ledger: Ledger) {
    this.kind = kind;
    this.#client = client;
    this.#ledger = ledger;
  }

  /** Hears everything from the beginning until a change of the name `last` is told. */
  async listen(folder: string, last: string, random: Random): Promise<void> {
    let position = 0;
    for (;;) {
      const isPatient = this.kind !== "resuming";
      const patience = isPatient ? Infinity : Math.ceil(PATIENCE_MAX * random.fraction());
      await using watch = this.#client.watch(folder, { since: position });
      let count = 0;
      for await (const event of watch) {
        // Whoever goes on behind a revision that was not told to its end hears its begin again.
        if (!this.#isKnown(event)) this.#take(event);
        if (event.path === last) return;
        if (this.kind === "slow") await rest(SLOW_MS_MAX * random.fraction() ** 4, NOTHING);
        if (patience <= ++count) break;
      }
      position = watch.revision ?? position;
    }
  }

  #isKnown({ revision, sequence }: FsEvent): boolean {
    if (this.kind !== "resuming") return false;
    return this.events.slice(-PATIENCE_MAX).some((event) => {
      return event.revision === revision && event.sequence === sequence;
    });
  }

  /** F1. */
  #take(event: FsEvent): void {
    const before = this.events.at(-1);
    this.events.push(event);
    if (before === undefined) return;
    const isBehind =
      before.revision < event.revision ||
      (before.revision === event.revision && before.sequence < event.sequence);
    if (isBehind) return;
    this.#ledger.anomaly(`the ${this.kind} watcher heard ${shown(event)} after ${shown(before)}`);
  }
}

/** F2, one line for each difference. */
export function compareWatchers(
  all: readonly FsEvent[],
  watchers: readonly Watcher[],
): readonly string[] {
  const expected = new Set(all.map(shown));
  return watchers.flatMap(({ kind, events }) => {
    const heard = new Set(events.map(shown));
    const missed = [...expected].filter((event) => !heard.has(event));
    const strange = [...heard].filter((event) => !expected.has(event));
    return [
      ...missed.map((event) => `the ${kind} watcher missed ${event}`),
      ...strange.map((event) => `only the ${kind} watcher heard ${event}`),
    ];
  });
}

/** F3, one line for each difference. */
export function compareFeed(
  all: readonly FsEvent[],
  keepers: readonly NameKeeper[],
): readonly string[] {
  return keepers.flatMap((keeper) => {
    const told = new Map<string, number>();
    for (const event of all) {
      if (!event.path.startsWith(`${keeper.folder}/`)) continue;
      told.set(changeOf(event), (told.get(changeOf(event)) ?? 0) + 1);
    }
    const wrong: string[] = [];
    for (const event of keeper.acknowledged) {
      const count = told.get(changeOf(event)) ?? 0;
      if (count !== 1) wrong.push(`the feed tells ${count} times of ${changeOf(event)}`);
      told.delete(changeOf(event));
    }
    for (const change of told.keys()) {
      const names = change.split(" ").slice(1);
      const isDoubtful = names.some((name) => keeper.isDoubtful(name));
      if (!isDoubtful) wrong.push(`the feed tells of ${change}, which nobody did`);
    }
    return wrong;
  });
}

function changeOf({ type, path, from }: Pick<FsEvent, "type" | "path" | "from">): string {
  return from === undefined ? `${type} ${path}` : `${type} ${path} ${from}`;
}

function shown(event: FsEvent): string {
  return `${event.revision}.${event.sequence} ${changeOf(event)}`;
}
