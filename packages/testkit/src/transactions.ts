// What transactions on several lists did and saw, and whether one order of them explains it.
//
// Every element is put into a list by at most one transaction, and taken out of it by at most one.
// So what a transaction saw tells what it came after and what it came before (Elle, Kingsbury and
// Alvaro 2020, for lists):
//
//   saw x in a list           after whoever put it there, before whoever took it out
//   did not see x             before whoever put it there; or, if it saw x where it went then,
//                             after whoever took it out
//   saw x before y            who put x there came before who put y there
//   ended before another      came before it (real time)
//   began
//
// A cycle of these cannot be explained by any order: the history is not strictly serializable.
//
// T1. A transaction whose outcome is unknown counts if anybody saw what it did, else not at all.
// T2. A transaction that was refused did nothing: whatever of it is seen is a violation.

import { invariant } from "@lumeofs/base";

export type Step =
  | { readonly kind: "put"; readonly list: string; readonly element: string }
  | { readonly kind: "take"; readonly list: string; readonly element: string }
  /** All that was there, in the order in which it came there. */
  | { readonly kind: "saw"; readonly list: string; readonly elements: readonly string[] };

export interface Transaction {
  readonly name: string;
  readonly steps: readonly Step[];
  readonly outcome: "done" | "refused" | "unknown";
  readonly begin: number;
  /** Infinite for an unknown outcome. */
  readonly end: number;
}

export type TransactionVerdict =
  | { readonly kind: "serializable" }
  | { readonly kind: "violation"; readonly what: string };

/** Why one transaction comes before another. */
interface Edge {
  readonly to: number;
  readonly why: string;
}

/** Looks for something that no order of the transactions explains. */
export function checkTransactions(transactions: readonly Transaction[]): TransactionVerdict {
  const graph = new Graph(transactions);
  const what = graph.contradiction ?? graph.cycle();
  return what === undefined ? { kind: "serializable" } : { kind: "violation", what };
}

class Graph {
  /** The first thing that no order could explain, found while the graph was built. */
  contradiction: string | undefined;
  readonly #transactions: readonly Transaction[];
  readonly #edges: Edge[][];
  readonly #putters = new Map<string, number>();
  readonly #takers = new Map<string, number>();
  /** Elements by list, as far as anybody put them there. */
  readonly #elements = new Map<string, string[]>();

  constructor(transactions: readonly Transaction[]) {
    this.#transactions = transactions;
    this.#edges = transactions.map(() => []);
    for (const [i, { steps }] of transactions.entries()) {
      for (const step of steps) if (step.kind !== "saw") this.#own(i, step);
    }
    const seen = this.#seen();
    for (const [i, { steps }] of transactions.entries()) {
      for (const step of steps) if (step.kind === "saw") this.#saw(i, step, seen);
    }
    this.#addRealTime(seen);
  }

  /** A way around that leads back to its begin; undefined if there is none. */
  cycle(): string | undefined {
    const state = new Uint8Array(this.#edges.length);
    for (let root = 0; root < this.#edges.length; root++) {
      const found = state[root] === 0 ? this.#search(root, state) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #own(i: number, step: Exclude<Step, { kind: "saw" }>): void {
    const owners = step.kind === "put" ? this.#putters : this.#takers;
    const key = keyOf(step.list, step.element);
    invariant(!owners.has(key), "an element is put and taken once", { key });
    owners.set(key, i);
    if (step.kind === "take") return;
    const elements = this.#elements.get(step.list) ?? [];
    this.#elements.set(step.list, elements);
    elements.push(step.element);
  }

  /** Transactions that took place: those that ended well, and those whose work was seen. (T1) */
  #seen(): ReadonlySet<number> {
    const counted = new Set<number>();
    for (const [i, { outcome, steps }] of this.#transactions.entries()) {
      if (outcome === "done") counted.add(i);
      for (const step of steps) {
        if (step.kind !== "saw") continue;
        for (const element of step.elements) {
          const putter = this.#putters.get(keyOf(step.list, element));
          if (putter !== undefined) counted.add(putter);
        }
      }
    }
    return counted;
  }

  #saw(i: number, step: Extract<Step, { kind: "saw" }>, counted: ReadonlySet<number>): void {
    const { list, elements } = step;
    const there = new Set(elements);
    if (there.size < elements.length) this.#contradict(i, `saw something twice in ${list}`);
    let before: number | undefined;
    for (const element of elements) {
      const putter = this.#putterOf(i, list, element);
      if (putter === undefined) return;
      this.#edge(putter, i, `put ${element} into ${list}, which was seen by`);
      const taker = this.#takers.get(keyOf(list, element));
      if (taker !== undefined && counted.has(taker)) {
        this.#edge(i, taker, `saw ${element} in ${list}, and it was taken out by`);
      }
      if (before !== undefined) this.#edge(before, putter, `put into ${list} before ${element} of`);
      before = putter;
    }
    for (const element of this.#elements.get(list) ?? []) {
      if (!there.has(element)) this.#missed(i, list, element, counted);
    }
  }

  /** The transaction did not see this element. */
  #missed(i: number, list: string, element: string, counted: ReadonlySet<number>): void {
    const putter = this.#putters.get(keyOf(list, element));
    const taker = this.#takers.get(keyOf(list, element));
    if (putter === undefined || !counted.has(putter)) return;
    if (taker === undefined || !counted.has(taker)) {
      if (this.#transactions[taker ?? -1]?.outcome === "unknown") return;
      this.#edge(i, putter, `did not see ${element} in ${list}, put there by`);
    } else if (this.#sawBehind(i, taker, element)) {
      this.#edge(taker, i, `took ${element} out of ${list}, where it was not seen by`);
    }
  }

  /** Whether the element was seen in a list to which it went when, or after, it was taken. */
  #sawBehind(i: number, taker: number, element: string): boolean {
    const { steps } = this.#transactions[i] as Transaction;
    const lists = steps.flatMap((step) =>
      step.kind === "saw" && step.elements.includes(element) ? [step.list] : [],
    );
    for (let at: number | undefined = taker; at !== undefined; ) {
      const moved: Transaction | undefined = this.#transactions[at];
      const to = moved?.steps.find((step) => step.kind === "put" && step.element === element);
      if (to === undefined) return false;
      if (lists.includes(to.list)) return true;
      at = this.#takers.get(keyOf(to.list, element));
    }
    return false;
  }

  #putterOf(i: number, list: string, element: string): number | undefined {
    const putter = this.#putters.get(keyOf(list, element));
    if (putter === undefined) {
      this.#contradict(i, `saw ${element} in ${list}, which nobody put there`);
    } else if (this.#transactions[putter]?.outcome === "refused") {
      this.#contradict(i, `saw ${element} in ${list}, of the refused ${this.#nameOf(putter)}`);
    }
    return putter;
  }

  /** Whoever ended before another began came before it. */
  #addRealTime(counted: ReadonlySet<number>): void {
    const order = [...counted].sort((a, b) => this.#beginOf(a) - this.#beginOf(b));
    // Each needs an edge only from those who ended since the latest of all earlier begins among
    // them: the others come before one of these.
    let frontier: number[] = [];
    for (const next of order) {
      const begin = this.#beginOf(next);
      const ended = frontier.filter((i) => this.#endOf(i) < begin);
      for (const i of ended) this.#edge(i, next, "ended before the begin of");
      const covered = new Set(
        ended.filter((i) => ended.some((j) => this.#endOf(i) < this.#beginOf(j))),
      );
      frontier = frontier.filter((i) => !covered.has(i));
      frontier.push(next);
    }
  }

  #edge(from: number, to: number, why: string): void {
    if (from !== to) this.#edges[from]?.push({ to, why });
  }

  #contradict(i: number, what: string): void {
    this.contradiction ??= `${this.#nameOf(i)} ${what}`;
  }

  /** Walks everything that follows `root`, with a stack of its own: histories may be long. */
  #search(root: number, state: Uint8Array): string | undefined {
    const path: { readonly at: number; next: number }[] = [{ at: root, next: 0 }];
    state[root] = 1;
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const edge = this.#edges[top.at]?.[top.next];
      top.next++;
      if (edge === undefined) {
        state[top.at] = 2;
        path.pop();
      } else if (state[edge.to] === 1) {
        return this.#shown(path, edge.to);
      } else if (state[edge.to] === 0) {
        state[edge.to] = 1;
        path.push({ at: edge.to, next: 0 });
      }
    }
    return undefined;
  }

  #shown(path: readonly { readonly at: number; readonly next: number }[], back: number): string {
    const cycle = path.slice(path.findIndex(({ at }) => at === back));
    const lines = cycle.map(({ at, next }) => {
      return `  ${this.#nameOf(at)} ${this.#edges[at]?.[next - 1]?.why}`;
    });
    return `no order is possible:\n${lines.join("\n")}\n  ${this.#nameOf(back)}`;
  }

  #nameOf(i: number): string {
    return this.#transactions[i]?.name ?? `${i}`;
  }

  #beginOf(i: number): number {
    return this.#transactions[i]?.begin ?? 0;
  }

  #endOf(i: number): number {
    return this.#transactions[i]?.end ?? Number.POSITIVE_INFINITY;
  }
}

function keyOf(list: string, element: string): string {
  return `${list}\n${element}`;
}
