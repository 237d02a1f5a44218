import { invariant } from "@lumeofs/base";
import type { ReplicatedState, StateImage } from "../consensus/replicated-state.js";
import type { State, StateReader } from "../metadata/state.js";
import type { Entry, LogIndex, SnapshotMeta, Term } from "../raft/entry.js";
import type { StateStore } from "./state-store.js";

/** Applies one command to the state and returns its reply. Depends on its arguments alone. */
export type ApplyCommand = (state: State, index: LogIndex, data: Uint8Array) => Uint8Array;

const NO_REPLY = new Uint8Array(0);

/** The replicated state: a store, and the state machine that alone changes it. */
export class MachineState implements ReplicatedState {
  readonly #store: StateStore;
  readonly #applyCommand: ApplyCommand;
  readonly #isCheck: (data: Uint8Array) => boolean;
  readonly #listeners = new Set<() => void>();
  /** Takes the state as it stands right behind a check that the log asks for. Does not wait. */
  onCheck: (image: StateImage) => void = (image) => void image.close();

  /** Owns the store from now on. */
  constructor(
    store: StateStore,
    applyCommand: ApplyCommand,
    isCheck: (data: Uint8Array) => boolean = () => false,
  ) {
    this.#store = store;
    this.#applyCommand = applyCommand;
    this.#isCheck = isCheck;
  }

  /** For queries; to be used after `Replication.read`. */
  get reader(): StateReader {
    return this.#store;
  }

  get applied(): LogIndex {
    return this.#store.applied.index;
  }

  get durable(): LogIndex {
    return this.#store.durable.index;
  }

  get durableTerm(): Term {
    return this.#store.durable.term;
  }

  get congested(): boolean {
    return this.#store.congested;
  }

  apply(entries: readonly Entry[]): readonly Uint8Array[] {
    const replies = entries.map((entry) => {
      const { index, term, kind, data } = entry;
      const applied = this.#store.applied.index;
      invariant(index === applied + 1, "entries are applied one by one", { index, applied });
      const reply = kind === "command" ? this.#applyCommand(this.#store, index, data) : NO_REPLY;
      this.#store.commit({ index, term });
      if (kind === "command" && this.#isCheck(data)) this.onCheck(this.#store.capture());
      return reply;
    });
    this.#tellListeners();
    return replies;
  }

  /** Calls `listener` after each batch and each installed image. Returns the way to stop. */
  onApplied(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  flush(): Promise<void> {
    return this.#store.flush();
  }

  image(): Promise<StateImage> {
    return this.#store.image();
  }

  async install(meta: SnapshotMeta, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#store.install({ index: meta.index, term: meta.term }, pieces);
    this.#tellListeners();
  }

  close(): Promise<void> {
    return this.#store.close();
  }
  #tellListeners(): void {
    for (const listener of this.#listeners) listener();
  }
}
