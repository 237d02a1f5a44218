// What clients asked, what they were told, and when: and whether one order of the calls explains
// it.
//
// A history is linearizable if every call can be given one moment between its begin and its end
// such that, taken in the order of these moments, each answer is what a plain object would have
// said. The search is Wing and Gong's with Lowe's memory of dead ends: take any call that began
// before every unfinished one ended, see whether the model allows its answer, go on; come back when
// stuck.
//
// H1. A call without answer (lost, timed out) may take its moment at any time after its begin, or
//     never. One whose answer is known from elsewhere, though nobody heard it, must take it.
// H2. Calls on different keys do not touch each other, so each key is checked alone.

import { invariant } from "@lumeofs/base";

/** One call of one client. */
export interface Operation<Call, Answer> {
  readonly call: Call;
  readonly begin: number;
  /** Undefined: the client never learned it. */
  readonly answer: Answer | undefined;
  /** Infinite if there is no answer. */
  readonly end: number;
}

/** The plain object that the system pretends to be. States are never changed in place. */
export interface Model<State, Call, Answer> {
  readonly initial: State;
  /** The state after the call, or undefined if it could not have answered so. */
  step(state: State, call: Call, answer: Answer | undefined): State | undefined;
  /** Equal texts exactly for equal states. */
  print(state: State): string;
}

export type Verdict<Call, Answer> =
  | { readonly kind: "linearizable" }
  /** `explained`: the longest order found; no order covers the rest. */
  | {
      readonly kind: "violation";
      readonly key: string;
      readonly explained: readonly Operation<Call, Answer>[];
      readonly operations: readonly Operation<Call, Answer>[];
    }
  /** Too many orders to try. */
  | { readonly kind: "unknown"; readonly key: string };

/** A call that has begun; told its end once, or never. */
export interface Pending<Answer> {
  answered(answer: Answer): void;
  /** It took effect with this answer, which its caller never got: at any time after its begin. */
  unheard(answer: Answer): void;
  /** It certainly had no effect: it leaves the history. */
  rejected(): void;
}

/** Records the calls of all clients, by key. Times come from the caller and never go back. */
export class History<Call, Answer> {
  readonly #byKey = new Map<string, Set<Recorded<Call, Answer>>>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  begin(key: string, call: Call, now: () => number): Pending<Answer> {
    const operations = this.#byKey.get(key) ?? new Set();
    this.#byKey.set(key, operations);
    const recorded: Recorded<Call, Answer> = {
      call,
      begin: now(),
      answer: undefined,
      end: Number.POSITIVE_INFINITY,
    };
    operations.add(recorded);
    this.#count++;
    return {
      answered: (answer) => {
        invariant(recorded.answer === undefined, "a call is answered once");
        recorded.answer = answer;
        recorded.end = now();
      },
      unheard: (answer) => {
        invariant(recorded.answer === undefined, "a call is answered once");
        recorded.answer = answer;
      },
      rejected: () => {
        operations.delete(recorded);
      },
    };
  }

  /** Checks key by key; the first that is not linearizable decides. */
  check<State>(model: Model<State, Call, Answer>, stepsMax?: number): Verdict<Call, Answer> {
    for (const [key, operations] of this.#byKey) {
      const verdict = checkOperations(key, [...operations], model, stepsMax);
      if (verdict.kind !== "linearizable") return verdict;
    }
    return { kind: "linearizable" };
  }
}

interface Recorded<Call, Answer> {
  readonly call: Call;
  readonly begin: number;
  answer: Answer | undefined;
  end: number;
}

const STEPS_MAX_DEFAULT = 1_000_000;

/** Looks for an order that explains the operations on one key. */
export function checkOperations<State, Call, Answer>(
  key: string,
  operations: readonly Operation<Call, Answer>[],
  model: Model<State, Call, Answer>,
  stepsMax: number = STEPS_MAX_DEFAULT,
): Verdict<Call, Answer> {
  const search = new Search(operations, model);
  const found = search.run(stepsMax);
  if (found === "exhausted") return { kind: "unknown", key };
  if (found === "explained") return { kind: "linearizable" };
  return { kind: "violation", key, explained: search.longest, operations };
}

/** A begin or an end in the doubly linked list of what is not yet explained. */
interface Mark {
  readonly operation: number;
  /** Set on a begin. */
  readonly end: Mark | undefined;
  previous: Mark | undefined;
  next: Mark | undefined;
}

interface Choice<State> {
  readonly mark: Mark;
  readonly before: State;
}

class Search<State, Call, Answer> {
  longest: readonly Operation<Call, Answer>[] = [];
  readonly #operations: readonly Operation<Call, Answer>[];
  readonly #model: Model<State, Call, Answer>;
  readonly #head: Mark;
  /** Of the calls that have their moment: two hashes that hardly ever agree for two sets. */
  #taken: readonly [number, number] = [0, 0];
  readonly #choices: Choice<State>[] = [];
  readonly #deadEnds = new Set<string>();
  #answeredLeft: number;

  constructor(operations: readonly Operation<Call, Answer>[], model: Model<State, Call, Answer>) {
    this.#operations = operations;
    this.#model = model;
    this.#head = listOf(operations);
    this.#answeredLeft = operations.filter(({ answer }) => answer !== undefined).length;
  }

  run(stepsMax: number): "explained" | "violation" | "exhausted" {
    let state = this.#model.initial;
    let mark = this.#head.next;
    for (let steps = 0; 0 < this.#answeredLeft; steps++) {
      if (stepsMax <= steps) return "exhausted";
      const next = mark?.end === undefined ? undefined : this.#take(mark, state);
      if (mark?.end !== undefined && next === undefined) {
        mark = mark.next;
      } else if (next !== undefined) {
        state = next;
        mark = this.#head.next;
      } else {
        // An end was reached (or nothing is left): this order cannot go on.
        const undone = this.#undo();
        if (undone === undefined) return "violation";
        state = undone.before;
        mark = undone.mark.next;
      }
    }
    return "explained";
  }

  /** Gives this operation its moment now, if the model and the known dead ends allow it. */
  #take(mark: Mark, state: State): State | undefined {
    const operation = this.#operations[mark.operation] as Operation<Call, Answer>;
    const after = this.#model.step(state, operation.call, operation.answer);
    if (after === undefined) return undefined;
    const taken = toggled(this.#taken, mark.operation);
    const seen = `${taken[0]} ${taken[1]} ${this.#model.print(after)}`;
    if (this.#deadEnds.has(seen)) return undefined;
    this.#deadEnds.add(seen);
    this.#taken = taken;
    this.#choices.push({ mark, before: state });
    lift(mark);
    if (mark.end !== undefined) lift(mark.end);
    if (operation.answer !== undefined) this.#answeredLeft--;
    return after;
  }

  #undo(): Choice<State> | undefined {
    if (this.longest.length < this.#choices.length) {
      this.longest = this.#choices.map(
        (choice) => this.#operations[choice.mark.operation] as Operation<Call, Answer>,
      );
    }
    const choice = this.#choices.pop();
    if (choice === undefined) return undefined;
    const { mark } = choice;
    if (mark.end !== undefined) putBack(mark.end);
    putBack(mark);
    this.#taken = toggled(this.#taken, mark.operation);
    const operation = this.#operations[mark.operation] as Operation<Call, Answer>;
    if (operation.answer !== undefined) this.#answeredLeft++;
    return choice;
  }
}

/** The hashes of a set with one element more, or less if it was in it. */
function toggled([low, high]: readonly [number, number], at: number): readonly [number, number] {
  return [low ^ mixed(at + 1), high ^ mixed(-at - 2)];
}

function mixed(n: number): number {
  let x = Math.imul(n ^ (n >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return x ^ (x >>> 15);
}

function listOf(operations: readonly Operation<unknown, unknown>[]): Mark {
  const timed: { at: number; isEnd: boolean; mark: Mark }[] = [];
  for (const [i, operation] of operations.entries()) {
    invariant(operation.begin <= operation.end, "a call ends after it began", { i });
    const end: Mark = { operation: i, end: undefined, previous: undefined, next: undefined };
    const begin: Mark = { operation: i, end, previous: undefined, next: undefined };
    timed.push({ at: operation.begin, isEnd: false, mark: begin });
    timed.push({ at: operation.end, isEnd: true, mark: end });
  }
  // At the same time begins come first: calls that touch may have overlapped.
  timed.sort((a, b) => (a.at === b.at ? Number(a.isEnd) - Number(b.isEnd) : a.at - b.at));
  const head: Mark = { operation: -1, end: undefined, previous: undefined, next: undefined };
  let last = head;
  for (const { mark } of timed) {
    last.next = mark;
    mark.previous = last;
    last = mark;
  }
  return head;
}

function lift(mark: Mark): void {
  if (mark.previous !== undefined) mark.previous.next = mark.next;
  if (mark.next !== undefined) mark.next.previous = mark.previous;
}

function putBack(mark: Mark): void {
  if (mark.previous !== undefined) mark.previous.next = mark;
  if (mark.next !== undefined) mark.next.previous = mark;
}
