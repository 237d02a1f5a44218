// Every state that can be reached, nearest first: the first violation found is one of the shortest.

import type { Parts } from "../parts.js";
import { Model, type ModelState } from "./model.js";
import type { ModelSettings } from "./settings.js";

export interface SearchResult {
  readonly states: number;
  /** Every state was seen. */
  readonly isComplete: boolean;
  /** The longest of the shortest ways to a state. */
  readonly depth: number;
  readonly violation: Violation | undefined;
}

export interface Violation {
  readonly what: string;
  /** What happened, one line a step. */
  readonly steps: readonly string[];
}

export interface SearchOptions {
  /**
   * A chunk whose core stops itself is out of service, which loses nothing: go on with the other
   * states, and look for a loss that nobody notices.
   */
  readonly goesOnPastHalts?: boolean;
}

/** Searches breadth first. */
export function search(
  parts: Parts,
  settings: ModelSettings,
  options: SearchOptions = {},
): SearchResult {
  const model = new Model(parts, settings);
  const seen = new Set<string>();
  const keys: string[] = [];
  const parents: number[] = [];
  const labels: string[] = [];
  const depths: number[] = [];
  let violation: Violation | undefined;

  const add = (state: ModelState, parent: number, label: string): void => {
    const key = keyOf(state);
    if (seen.has(key)) return;
    seen.add(key);
    keys.push(key);
    parents.push(parent);
    labels.push(label);
    depths.push(parent < 0 ? 0 : (depths[parent] as number) + 1);
  };
  const pathTo = (index: number): string[] => {
    const steps: string[] = [];
    for (let at = index; 0 < at; at = parents[at] as number) steps.unshift(labels[at] as string);
    return steps;
  };

  add(model.initial(), -1, "");
  let at = 0;
  for (; at < keys.length && keys.length < settings.statesMax; at++) {
    model.visit(stateOf(keys[at] as string), (label, outcome) => {
      if (violation !== undefined) return;
      if (outcome.kind === "state") return add(outcome.state, at, label);
      if (options.goesOnPastHalts && !/^C\d:/.test(outcome.what)) return;
      violation = { what: outcome.what, steps: [...pathTo(at), label] };
    });
    if (violation !== undefined) break;
  }
  const isComplete = violation === undefined && at === keys.length;
  return { states: keys.length, isComplete, depth: depths.at(-1) ?? 0, violation };
}

function keyOf(state: ModelState): string {
  return String.fromCharCode(...state);
}

function stateOf(key: string): ModelState {
  return Array.from({ length: key.length }, (_, i) => key.charCodeAt(i));
}
