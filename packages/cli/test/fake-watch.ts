// A watch of a fake cluster: gives prepared events, then waits for its signal.

import type { FsEvent, Watch, WatchOptions } from "@lumeofs/client";

/** Where "now" is. */
const NOW = 40;

export class FakeWatch implements Watch {
  revision: number | undefined;
  readonly #events: readonly FsEvent[];
  readonly #options: WatchOptions;
  readonly #whenAllSeen: () => void;

  constructor(events: readonly FsEvent[], options: WatchOptions, whenAllSeen: () => void) {
    this.#events = events;
    this.#options = options;
    this.#whenAllSeen = whenAllSeen;
  }

  async ready(): Promise<number> {
    const { since = "now" } = this.#options;
    this.revision ??= since === "now" ? NOW : since;
    return this.revision;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<FsEvent, void, undefined> {
    for (const event of this.#events) {
      yield event;
      this.revision = event.revision;
    }
    const { signal } = this.#options;
    const over = new Promise((resolve) => {
      signal?.addEventListener("abort", resolve, { once: true });
    });
    this.#whenAllSeen();
    await over;
    throw new Error("aborted");
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
