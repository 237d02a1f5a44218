// What a search has found, for people.

import type { SearchResult } from "./search.js";
import { withoutClocks } from "./words.js";

/** One line of a table. */
export function tableRow(name: string, result: SearchResult): string {
  const { violation, isComplete, states, depth } = result;
  const found = violation?.what ?? (isComplete ? "no violation" : "no violation so far");
  const steps = violation?.steps.length ?? depth;
  return `| ${name} | ${found} | ${steps} | ${states.toLocaleString("en")} |`;
}

/** The steps of a counter-example, numbered. */
export function story({ violation }: SearchResult): string {
  if (violation === undefined) return "";
  const steps = violation.steps.map((step, i) => `${`${i + 1}`.padStart(4)}. ${step}`);
  return withoutClocks([...steps, `      ${violation.what}`].join("\n"));
}
