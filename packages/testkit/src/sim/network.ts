// The network between simulated processes: one directed link for each ordered pair of names.
//
// A link delays, and by its settings loses, doubles and reorders. It can be cut (one way), clogged
// (nothing arrives until later) and broken (what is on its way is lost from some message on, as
// when a stream is reset). Without `reorder` messages of one link arrive in the order of sending.

import { type Random, SeededRandom } from "@lumeofs/base";
import type { World } from "./world.js";

export interface LinkSettings {
  readonly delayMsMin: number;
  /** Mean of what is added to the minimum; exponentially distributed. */
  readonly delayMsMean: number;
  /** Probabilities of each message. */
  readonly loss: number;
  readonly duplicate: number;
  /** Each message takes its own time, whatever was sent before it. */
  readonly reorder: boolean;
  /** So long a message occupies its link: those behind it wait (bandwidth). Default: no time. */
  readonly messageMs?: number;
}

export const PERFECT_LINK: LinkSettings = {
  delayMsMin: 0.1,
  delayMsMean: 0,
  loss: 0,
  duplicate: 0,
  reorder: false,
};

interface Flight<Message> {
  readonly message: Message;
  isLost: boolean;
}

interface Link<Message> {
  isCut: boolean;
  clogUntil: number;
  /** Until then messages sent before are being put on the wire. */
  busyUntil: number;
  /** When the last message in order arrives. */
  tailAt: number;
  readonly random: SeededRandom;
  readonly inFlight: Set<Flight<Message>>;
}

export interface NetworkCounts {
  readonly sent: number;
  readonly delivered: number;
  readonly lost: number;
}

/** What a process does with a message that has arrived. */
export type Receive<Message> = (from: string, message: Message) => void;

export class SimNetwork<Message> {
  settings: LinkSettings;
  #sent = 0;
  #delivered = 0;
  #lost = 0;
  readonly #world: World;
  readonly #links = new Map<string, Link<Message>>();
  readonly #receivers = new Map<string, Receive<Message>>();

  constructor(world: World, settings: LinkSettings = PERFECT_LINK) {
    this.#world = world;
    this.settings = settings;
  }

  get counts(): NetworkCounts {
    return { sent: this.#sent, delivered: this.#delivered, lost: this.#lost };
  }

  /** From now on messages to `name` go here; undefined drops them, as for a dead process. */
  attach(name: string, receive: Receive<Message> | undefined): void {
    if (receive === undefined) this.#receivers.delete(name);
    else this.#receivers.set(name, receive);
  }

  send(from: string, to: string, message: Message): void {
    this.#sent++;
    const link = this.#link(from, to);
    const settings = this.settings;
    // Always the same number of draws, so that a cut link stays in step with an open one.
    const isLost = link.random.fraction() < settings.loss;
    const isDoubled = link.random.fraction() < settings.duplicate;
    if (link.isCut || isLost) {
      this.#lost++;
      return;
    }
    this.#fly(from, to, link, message);
    if (isDoubled) this.#fly(from, to, link, message);
  }

  /** Nothing more is sent from one to the other until `join`; what is on its way arrives. */
  cut(from: string, to: string): void {
    this.#link(from, to).isCut = true;
  }

  join(from: string, to: string): void {
    this.#link(from, to).isCut = false;
  }

  /** All links open again, no clogs. */
  heal(): void {
    for (const link of this.#links.values()) {
      link.isCut = false;
      link.clogUntil = 0;
    }
  }

  /** What is on its way and what follows arrives no earlier than then. */
  clog(from: string, to: string, untilMs: number): void {
    const link = this.#link(from, to);
    link.clogUntil = Math.max(link.clogUntil, untilMs);
  }

  /** Loses what is on its way from a random message on; returns whether anything was lost. */
  breakStream(from: string, to: string): boolean {
    const link = this.#link(from, to);
    const flights = [...link.inFlight];
    const kept = Math.floor(link.random.fraction() * (flights.length + 1));
    for (const flight of flights.slice(kept)) flight.isLost = true;
    this.#lost += flights.length - kept;
    return kept < flights.length;
  }

  isCut(from: string, to: string): boolean {
    return this.#link(from, to).isCut;
  }

  #link(from: string, to: string): Link<Message> {
    const name = `${from}>${to}`;
    let link = this.#links.get(name);
    if (link === undefined) {
      link = {
        isCut: false,
        clogUntil: 0,
        busyUntil: 0,
        tailAt: 0,
        random: new SeededRandom(this.#world.seed, `link ${name}`),
        inFlight: new Set(),
      };
      this.#links.set(name, link);
    }
    return link;
  }

  #fly(from: string, to: string, link: Link<Message>, message: Message): void {
    const settings = this.settings;
    const delay = settings.delayMsMin + exponential(link.random, settings.delayMsMean);
    link.busyUntil = Math.max(this.#world.now, link.busyUntil) + (settings.messageMs ?? 0);
    let at = Math.max(link.busyUntil + delay, link.clogUntil);
    if (!settings.reorder) at = Math.max(at, link.tailAt);
    link.tailAt = Math.max(link.tailAt, at);
    const flight: Flight<Message> = { message, isLost: false };
    link.inFlight.add(flight);
    const arrive = (): void => {
      if (this.#world.now < link.clogUntil) {
        // Clogged while it was on its way.
        this.#world.after(link.clogUntil - this.#world.now, arrive);
        return;
      }
      // In order means: whichever message this event was for, the oldest one arrives.
      const [oldest] = link.inFlight;
      const next = this.settings.reorder && link.inFlight.has(flight) ? flight : oldest;
      if (next === undefined) return;
      link.inFlight.delete(next);
      if (!next.isLost) this.#arrive(from, to, next.message);
    };
    this.#world.after(at - this.#world.now, arrive);
  }

  #arrive(from: string, to: string, message: Message): void {
    const receive = this.#receivers.get(to);
    if (receive === undefined) {
      this.#lost++;
      return;
    }
    this.#delivered++;
    receive(from, message);
  }
}

function exponential(random: Random, mean: number): number {
  return -Math.log(1 - random.fraction()) * mean;
}
