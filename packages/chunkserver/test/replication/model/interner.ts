// Numbers for values: equal values, told by their text, have one number. So a state of the model is
// a row of numbers, and what the core does with two numbers is computed once.

import { invariant } from "@lumeofs/base";

/** Numbers fit into one character of a state's key. */
const VALUES_MAX = 65_536;

export class Interner<T> {
  readonly #numbers = new Map<string, number>();
  readonly #values: T[] = [];
  readonly #text: (value: T) => string;

  constructor(text: (value: T) => string) {
    this.#text = text;
  }

  get size(): number {
    return this.#values.length;
  }

  numberOf(value: T): number {
    const text = this.#text(value);
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const number = this.#values.length;
    invariant(number < VALUES_MAX, "the model has few enough different values", { text });
    this.#values.push(value);
    this.#numbers.set(text, number);
    return number;
  }

  at(number: number): T {
    invariant(number < this.#values.length, "the number was given out here", { number });
    return this.#values[number] as T;
  }
}

/** Remembers what a function of two numbers gave. */
export function remembered<R>(compute: (a: number, b: number) => R): (a: number, b: number) => R {
  const known = new Map<number, R>();
  return (a, b) => {
    const key = a * VALUES_MAX + b;
    const result = known.get(key);
    if (result !== undefined) return result;
    const fresh = compute(a, b);
    known.set(key, fresh);
    return fresh;
  };
}
