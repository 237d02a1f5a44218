// The masters as one that answers: finds the leader, follows it when it changes.
//
// P1. An operation goes to the master that answered last as the leader. One that says who leads is
//     believed; one that fails or does not know is left for the next in the list.
// P2. Only the first of many operations that failed at one master changes the target, so that a
//     crowd does not skip past the leader.
// P3. A query goes to whichever master suits it (read-spread.ts). A follower that answers says who
//     leads; one that fails says nothing about the leader.
// P4. A master that stood still is not gone back to for a while, also where others still take it
//     for the leader: they notice later.
// P5. Whoever is asked says where all masters are. Those are asked from then on, and what the
//     client was given only after them: it goes on when all of that is gone.
// P6. Nothing is repeated here: every failure goes to the caller, whose policy decides.

import { type Closable, LumeoError } from "@lumeofs/base";
import { RpcChannel } from "@lumeofs/node/rpc";
import type { Events } from "../events.js";
import type { Answer, Attempt, Masters, OperationKind } from "../operations.js";
import {
  type MasterList,
  OperationStream,
  type Service,
  type StreamPorts,
} from "./operation-stream.js";
import { ReadSpread } from "./read-spread.js";

/** Masters that hints may add to the configured ones. */
const CHANNELS_MAX = 16;
/** How long nobody's word leads back to a master that gave no answer (P4). */
const STILL_MS = 3_000;

interface Link {
  readonly channel: RpcChannel;
  readonly operations: OperationStream;
}

export class MasterPool implements Masters, Closable {
  /** host:port of the masters that the client was given. */
  readonly #given: readonly string[];
  #list: MasterList = { addresses: [], revision: 0 };
  readonly #ports: StreamPorts;
  readonly #events: Events;
  readonly #spread: ReadSpread;
  /** Masters that gave no answer, and until when they are avoided. */
  readonly #still = new Map<string, number>();
  readonly #links = new Map<string, Link>();
  #target: string;
  #leader: string | undefined;
  #turn = 0;
  /** Masters that could not be connected to when they were last tried. */
  readonly #refused = new Set<string>();
  #isFailing = false;
  #isClosed = false;

  /** @param endpoints  host:port, not empty. No I/O happens here. */
  constructor(endpoints: readonly string[], ports: StreamPorts, events: Events) {
    this.#given = endpoints;
    this.#ports = ports;
    this.#events = events;
    this.#spread = new ReadSpread(endpoints, ports.clock);
    this.#target = endpoints[0] as string;
  }

  /** host:port of all masters that are known. */
  get endpoints(): readonly string[] {
    const { addresses } = this.#list;
    return [...addresses, ...this.#given.filter((address) => !addresses.includes(address))];
  }

  /** Address of the master that answered last as the leader; undefined before the first answer. */
  get leader(): string | undefined {
    return this.#leader;
  }

  /** The last operation that ended did so because of the connection or the leader. */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  get isUnreachable(): boolean {
    return this.endpoints.every((address) => this.#refused.has(address));
  }

  attempt<K extends OperationKind>(attempt: Attempt<K>): Promise<Answer<K>> {
    if (this.#isClosed) {
      return Promise.reject(new LumeoError("CLOSED", "Cannot call: the client is closed"));
    }
    const { read } = attempt;
    const address =
      read === undefined ? this.#target : this.#spread.choose(read.wish.consistency, this.#target);
    const { operations } = this.#link(address);
    const service: Service = { follower: undefined };
    const ended = read === undefined ? undefined : this.#spread.began(address);
    const answered = (answer: Answer<K>): Answer<K> => {
      ended?.(true);
      this.#heard(address, service);
      return answer;
    };
    const failed = (error: unknown): never => {
      // A refusal that stands, such as "it does not exist", is an answer.
      ended?.(error instanceof LumeoError && (!error.retryable || error.code === "OVERLOADED"));
      if (!(error instanceof LumeoError)) throw error;
      const matters = read === undefined || address === this.#target;
      throw this.#failed(address, error, { operations, service, matters });
    };
    return operations.perform(attempt, service).then(answered, failed);
  }

  /** Asks one master, whoever leads, and learns nothing from it: for looking at each of them. */
  attemptAt<K extends OperationKind>(address: string, attempt: Attempt<K>): Promise<Answer<K>> {
    try {
      return this.#link(address).operations.perform(attempt, { follower: undefined });
    } catch (closed) {
      return Promise.reject(closed);
    }
  }

  /**
   * Notes what a failure says about a master; what its caller is told.
   *
   * @param at.matters  Whether it says something about the leader (P3).
   */
  #failed(
    address: string,
    error: LumeoError,
    at: {
      readonly operations: OperationStream;
      readonly service: Service;
      readonly matters: boolean;
    },
  ): LumeoError {
    const { isConnected, isStill } = at.operations;
    if (isStill) this.#still.set(address, this.#ports.clock.monotonicMs() + STILL_MS);
    const isRefused = error.code === "UNAVAILABLE" && !isConnected;
    if (isRefused) this.#refused.add(address);
    else this.#refused.delete(address);
    if (at.service.follower !== undefined && !error.retryable) this.#heard(address, at.service);
    else if (at.matters) this.#learn(address, error, isConnected);
    return isRefused && this.isUnreachable ? unreachable(this.endpoints, error) : error;
  }

  /** For unary calls to one master. */
  channel(address: string): RpcChannel {
    return this.#link(address).channel;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#links.values()].map(({ channel }) => channel.close()));
  }

  /** Somebody has answered, who leads or says who does (P1, P3). */
  #heard(address: string, { follower }: Service): void {
    if (follower === undefined) return this.#answered(address);
    this.#refused.delete(address);
    this.#still.delete(address);
    const { leader } = follower;
    if (this.#target !== address || leader === undefined || !this.#mayUse(leader)) return;
    this.#target = leader;
    this.#follow(leader);
  }

  #answered(address: string): void {
    this.#isFailing = false;
    this.#refused.delete(address);
    this.#still.delete(address);
    this.#follow(address);
  }

  #follow(address: string): void {
    if (this.#leader === address) return;
    this.#events.emit("leader", { from: this.#leader, to: address });
    this.#leader = address;
  }

  /** What a failure says about who leads (P1, P2). */
  #learn(address: string, error: LumeoError, isConnected: boolean): void {
    switch (error.code) {
      case "UNAVAILABLE":
        if (isConnected) return this.#answered(address); // the leader lacks chunkservers
        return this.#leave(address, undefined);
      case "NOT_LEADER":
      case "NO_LEADER":
      case "CONNECTION_LOST":
      case "LEADERSHIP_LOST":
      case "TIMEOUT":
      case "STORE_FAILED":
        return this.#leave(address, error.details.leader);
      case "ABORTED":
      case "CLOSED":
      case "OVERLOADED":
      case "PROTOCOL":
      case "INTERNAL": // says nothing about who leads
        return;
      default: // the leader itself refused
        this.#answered(address);
    }
  }

  #leave(address: string, hint: string | undefined): void {
    this.#isFailing = true;
    if (this.#target === address) this.#target = this.#next(address, hint);
  }

  #next(failed: string, hint: string | undefined): string {
    if (hint !== undefined && hint !== failed && this.#mayUse(hint)) return hint;
    const { endpoints } = this;
    for (let tried = 0; tried < endpoints.length; tried++) {
      this.#turn = (this.#turn + 1) % endpoints.length;
      const candidate = endpoints[this.#turn] as string;
      if (candidate !== failed && !this.#stoodStill(candidate)) return candidate;
    }
    return failed;
  }

  #stoodStill(address: string): boolean {
    return this.#ports.clock.monotonicMs() < (this.#still.get(address) ?? 0);
  }

  #mayUse(address: string): boolean {
    if (this.#stoodStill(address)) return false; // (P4)
    return this.#links.has(address) || this.#links.size < CHANNELS_MAX;
  }

  #link(address: string): Link {
    if (this.#isClosed) throw new LumeoError("CLOSED", "Cannot call: the client is closed");
    const known = this.#links.get(address);
    if (known !== undefined) return known;
    const channel = new RpcChannel(address, { network: this.#ports.network });
    const operations = new OperationStream(channel, this.#ports, (list) => this.#learned(list));
    const link = { channel, operations };
    this.#links.set(address, link);
    return link;
  }

  /** What a master says about all of them (P5). */
  #learned(list: MasterList): void {
    if (list.revision < this.#list.revision) return;
    this.#list = list;
    this.#spread.follow(list.addresses);
    const kept = new Set([...this.endpoints, this.#target]);
    for (const address of this.#refused) if (!kept.has(address)) this.#refused.delete(address);
    for (const [address, { channel, operations }] of this.#links) {
      if (kept.has(address) || operations.isConnected) continue;
      this.#links.delete(address);
      void channel.close();
    }
  }
}

/** The last of all masters could not be connected to either. */
export function unreachable(endpoints: readonly string[], cause: LumeoError): LumeoError {
  return new LumeoError(
    "UNAVAILABLE",
    `Cannot reach the cluster: no master answers at ${endpoints.join(", ")}; ` +
      "start it, or name the right endpoints",
    { cause },
  );
}
