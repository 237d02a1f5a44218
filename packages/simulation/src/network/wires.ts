// Connections between simulated processes, as TCP makes them: messages arrive in order, once, or
// the connection is broken. What carries them delays, stalls and breaks, machine by machine.
//
// N1. What was written before a close, and was not lost by a break, arrives before the close does.
// N2. A link that is cut loses nothing: it holds everything back until it is joined, or until
//     somebody has lost patience and closed.
// N3. The death of a process reaches the other side as a reset; the loss of a machine's power
//     reaches nobody, until that machine is back and is spoken to, or patience ends.
// N4. Nothing reaches a process after its end, and nothing comes from it.

import { type Alarm, LumeoError, type SeededRandom } from "@lumeofs/base";
import type { Lifetime, World } from "@lumeofs/testkit";

export interface WireSettings {
  readonly delayMsMin: number;
  /** Mean of what is added to the minimum; exponentially distributed. */
  readonly delayMsMean: number;
  readonly bytesPerMs: number;
}

/** How a connection ended, as one side sees it. */
export type WireEnding = "closed" | "reset";

export interface WireListener<Message> {
  readonly arrived: (message: Message) => void;
  /** Told once, unless this side has closed it itself. */
  readonly ended: (ending: WireEnding) => void;
}

/** One process on a machine, as its network sees it. */
export interface Endpoint {
  /** Of the machine. */
  readonly machine: string;
  readonly lifetime: Lifetime;
}

interface Letter<Message> {
  readonly message: Message;
  readonly at: number;
  readonly delivered: (() => void) | undefined;
}

/** So long between two looks whether a link that is cut has been joined. */
const STUCK_MS = 40;

type Accept<Message> = (end: WireEnd<Message>) => void;

interface Listener<Message> {
  readonly endpoint: Endpoint;
  readonly accept: Accept<Message>;
}

/** All wires of a world that carry one kind of message. */
export class Wires<Message> {
  settings: WireSettings;
  readonly world: World;
  readonly #links: Links;
  readonly #listeners = new Map<string, Listener<Message>>();
  readonly #ends = new Set<WireEnd<Message>>();
  readonly #kind: string;

  constructor(world: World, links: Links, kind: string, settings: WireSettings) {
    this.world = world;
    this.#links = links;
    this.#kind = kind;
    this.settings = settings;
  }

  /** Serves an address of this machine until the result is called, or the process ends. */
  listen(endpoint: Endpoint, address: string, accept: Accept<Message>): () => void {
    const listener = { endpoint, accept };
    this.#listeners.set(address, listener);
    return () => {
      if (this.#listeners.get(address) === listener) this.#listeners.delete(address);
    };
  }

  /** @throws LumeoError UNAVAILABLE if nobody answers there in time. */
  connect(
    from: Endpoint,
    address: string,
    limits: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<WireEnd<Message>> {
    const { timeoutMs, signal } = limits;
    return new Promise((resolve, reject) => {
      let isOver = false;
      const end = (act: () => void): void => {
        if (isOver) return;
        isOver = true;
        late.cancel();
        signal?.removeEventListener("abort", abort);
        act();
      };
      const fail = (why: string) => (): void => {
        const text = `Cannot connect to "${address}": ${why}`;
        end(() => reject(new LumeoError("UNAVAILABLE", text)));
      };
      const abort = (): void => end(() => reject(signal?.reason));
      const late = from.lifetime.after(timeoutMs, fail(`no answer within ${timeoutMs} ms`));
      signal?.addEventListener("abort", abort, { once: true });
      if (signal?.aborted) return abort();
      this.#knock(from, address, (answer) => {
        if (isOver || from.lifetime.hasEnded) return;
        from.lifetime.deliver(() => {
          if (answer === "refused") return fail("connection refused")();
          end(() => resolve(this.#join(from, answer)));
        });
      });
    });
  }

  /** Somebody resets one of the connections between two machines. Whether there was any. */
  breakOne(one: string, other: string, random: SeededRandom): boolean {
    const between = [...this.#ends].filter(
      (end) => end.machine === one && end.peerMachine === other,
    );
    const chosen = between[Math.floor(random.fraction() * between.length)];
    chosen?.breakOff();
    return chosen !== undefined;
  }

  /** The process has ended. `isSilent`: nobody is told (N3). */
  died(lifetime: Lifetime, isSilent: boolean): void {
    for (const end of [...this.#ends]) if (end.lifetime === lifetime) end.died(isSilent);
    for (const [address, { endpoint }] of this.#listeners) {
      if (endpoint.lifetime === lifetime) this.#listeners.delete(address);
    }
  }

  delayMs(from: string, to: string, bytes: number): number {
    const { delayMsMin, delayMsMean, bytesPerMs } = this.settings;
    const random = this.#links.random(this.#kind, from, to);
    return delayMsMin - Math.log(1 - random.fraction()) * delayMsMean + bytes / bytesPerMs;
  }

  /** Until when nothing gets through; undefined if something does now. */
  stuckUntil(from: string, to: string): number | undefined {
    return this.#links.stuckUntil(from, to);
  }

  isPowered(machine: string): boolean {
    return this.#links.isPowered(machine);
  }

  /** @internal */
  forget(end: WireEnd<Message>): void {
    this.#ends.delete(end);
  }

  #knock(
    from: Endpoint,
    address: string,
    answered: (answer: Listener<Message> | "refused") => void,
  ): void {
    const to = address.slice(0, address.lastIndexOf(":"));
    this.#travel(from.machine, to, () => {
      if (!this.isPowered(to)) return; // silence (N3)
      const listener = this.#listeners.get(address) ?? "refused";
      this.#travel(to, from.machine, () => answered(listener));
    });
  }

  #travel(from: string, to: string, arrive: () => void): void {
    const look = (): void => {
      const until = this.stuckUntil(from, to);
      if (until === undefined) return arrive();
      this.world.after(Math.max(STUCK_MS, until - this.world.now), look);
    };
    this.world.after(this.delayMs(from, to, 0), look);
  }

  #join(from: Endpoint, { endpoint, accept }: Listener<Message>): WireEnd<Message> {
    const near = new WireEnd(this, from, endpoint.machine);
    const far = new WireEnd(this, endpoint, from.machine);
    near.pair(far);
    far.pair(near);
    this.#ends.add(near).add(far);
    // The kernel takes the connection in; a process that is stopped hears of it later.
    if (endpoint.lifetime.hasEnded) far.died(false);
    else endpoint.lifetime.deliver(() => accept(far));
    return near;
  }
}

/** One side of a connection. */
export class WireEnd<Message> {
  readonly machine: string;
  readonly peerMachine: string;
  readonly lifetime: Lifetime;
  #state: "open" | "closed" | "dead" = "open";
  /** The peer's power has failed, or it was reset behind our back: it answers by a reset. */
  #isOrphan = false;
  #listener: WireListener<Message> | undefined;
  #held: ((listener: WireListener<Message>) => void)[] = [];
  #letters: Letter<Message>[] = [];
  #pump: Alarm | undefined;
  #tailAt = 0;
  #isPaused = false;
  #peer: WireEnd<Message> | undefined;
  readonly #wires: Wires<Message>;

  constructor(wires: Wires<Message>, { machine, lifetime }: Endpoint, peerMachine: string) {
    this.#wires = wires;
    this.machine = machine;
    this.lifetime = lifetime;
    this.peerMachine = peerMachine;
  }

  /** @internal */
  pair(peer: WireEnd<Message>): void {
    this.#peer = peer;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Whether the other process could answer now: for those who ask it in silence. */
  get isAnswered(): boolean {
    const there = this.#wires.stuckUntil(this.machine, this.peerMachine);
    const back = this.#wires.stuckUntil(this.peerMachine, this.machine);
    const peer = this.#peer;
    const isLiving = peer?.isOpen === true && peer.lifetime.isRunning;
    return there === undefined && back === undefined && isLiving;
  }

  /** What came before is told now. */
  listen(listener: WireListener<Message>): void {
    this.#listener = listener;
    const held = this.#held;
    this.#held = [];
    for (const tell of held) tell(listener);
  }

  /** `delivered` is called when the other side has it, or will never have it. */
  send(message: Message, bytes: number, delivered?: () => void): void {
    if (this.#state !== "open" || this.lifetime.hasEnded) {
      delivered?.();
      return;
    }
    if (this.#isOrphan) this.#answerByReset();
    const delay = this.#wires.delayMs(this.machine, this.peerMachine, bytes);
    const at = Math.max(this.#tailAt, this.#wires.world.now + delay);
    this.#tailAt = at;
    this.#letters.push({ message, at, delivered });
    this.#schedule();
  }

  /** Takes nothing more in for a while: the other side is held up. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#peer?.wake();
  }

  /** @internal */
  wake(): void {
    this.#schedule();
  }

  /** Ends it from this side: nothing is heard any more, the other side learns of it (N1). */
  close(): void {
    if (this.#state !== "open") return;
    this.#state = "closed";
    this.#wires.forget(this);
    this.#schedule();
  }

  /** The connection is lost, with some of what is on its way; both sides hear of it. */
  breakOff(): void {
    const peer = this.#peer;
    this.#lose();
    peer?.hear("reset");
    this.hear("reset");
  }

  /** @internal The process of this side is gone. */
  died(isSilent: boolean): void {
    if (this.#state === "dead") return;
    this.#state = "dead";
    this.#wires.forget(this);
    this.#lose();
    const peer = this.#peer;
    if (peer === undefined || !peer.isOpen) return;
    if (isSilent) peer.orphan();
    else this.#afterTravel(() => peer.hear("reset"));
  }

  /** @internal */
  orphan(): void {
    this.#isOrphan = true;
  }

  /** @internal The other side, or the network, has ended it. */
  hear(ending: WireEnding): void {
    if (this.#state !== "open") return;
    this.#state = "closed";
    this.#wires.forget(this);
    this.#lose();
    this.#tell((listener) => listener.ended(ending));
  }

  /** @internal */
  take(message: Message): void {
    if (this.#state !== "open") return;
    this.#tell((listener) => listener.arrived(message));
  }

  #tell(tell: (listener: WireListener<Message>) => void): void {
    this.lifetime.deliver(() => {
      if (this.#listener === undefined) this.#held.push(tell);
      else tell(this.#listener);
    });
  }

  /** Once the machine is back. */
  #answerByReset(): void {
    this.#afterTravel(() => {
      if (this.#wires.isPowered(this.peerMachine)) this.hear("reset");
    });
  }

  #afterTravel(act: () => void): void {
    const { world } = this.#wires;
    const look = (): void => {
      const until = this.#wires.stuckUntil(this.machine, this.peerMachine);
      if (until === undefined) return act();
      world.after(Math.max(STUCK_MS, until - world.now), look);
    };
    world.after(this.#wires.delayMs(this.machine, this.peerMachine, 0), look);
  }

  #lose(): void {
    this.#pump?.cancel();
    this.#pump = undefined;
    const lost = this.#letters;
    this.#letters = [];
    for (const { delivered } of lost) this.lifetime.deliver(() => delivered?.());
  }

  #schedule(): void {
    if (this.#pump !== undefined || this.#state === "dead") return;
    const { world } = this.#wires;
    const [next] = this.#letters;
    if (next === undefined) {
      if (this.#state === "closed") this.#afterTravel(() => this.#peer?.hear("closed"));
      return;
    }
    const until = this.#wires.stuckUntil(this.machine, this.peerMachine) ?? 0;
    const stuckMs = until === 0 ? 0 : Math.max(STUCK_MS, until - world.now);
    const delay = Math.max(0, next.at - world.now, stuckMs);
    this.#pump = world.after(delay, () => {
      this.#pump = undefined;
      this.#deliver();
    });
  }

  #deliver(): void {
    const isStuck = this.#wires.stuckUntil(this.machine, this.peerMachine) !== undefined;
    const peer = this.#peer;
    if (peer === undefined || this.#isOrphan) return;
    if (!isStuck && peer.#isPaused) return; // it wakes us
    const letter = isStuck ? undefined : this.#letters.shift();
    if (letter !== undefined) {
      peer.take(letter.message);
      this.lifetime.deliver(() => letter.delivered?.());
    }
    this.#schedule();
  }
}

/** What lies between machines, for all kinds of wires alike. */
export class Links {
  readonly #world: World;
  readonly #randoms = new Map<string, SeededRandom>();
  readonly #cut = new Set<string>();
  readonly #clogged = new Map<string, number>();
  readonly #unpowered = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  random(kind: string, from: string, to: string): SeededRandom {
    const name = `${kind} ${from}>${to}`;
    let random = this.#randoms.get(name);
    if (random === undefined) {
      random = this.#world.random(`wire ${name}`);
      this.#randoms.set(name, random);
    }
    return random;
  }

  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
  }

  /** All links open again, no clogs. */
  heal(): void {
    this.#cut.clear();
    this.#clogged.clear();
  }

  clog(from: string, to: string, untilMs: number): void {
    this.#clogged.set(`${from}>${to}`, untilMs);
  }

  stuckUntil(from: string, to: string): number | undefined {
    if (from === to) return undefined;
    const name = `${from}>${to}`;
    if (this.#cut.has(name)) return this.#world.now;
    const until = this.#clogged.get(name) ?? 0;
    return this.#world.now < until ? until : undefined;
  }

  power(machine: string, isOn: boolean): void {
    if (isOn) this.#unpowered.delete(machine);
    else this.#unpowered.add(machine);
  }

  isPowered(machine: string): boolean {
    return !this.#unpowered.has(machine);
  }
}
