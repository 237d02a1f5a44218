// Words that do not reach main: unfinished work, places of one machine, questions to the clock.

import type { Source } from "./source.js";
import type { TidyTable } from "./table.js";
import type { Finding } from "./tree.js";

interface BannedWords {
  readonly rule: string;
  readonly pattern: RegExp;
  readonly message: string;
}

// The patterns are written so that they do not match themselves.
const BANNED: readonly BannedWords[] = [
  { rule: "unfinished", pattern: /\bFIX[M]E\b/, message: "finish it before it reaches main" },
  {
    rule: "unfinished",
    pattern: /\bTO[D]O\b(?!\(#\d+\))/,
    message: "give the number of its issue: (#12) directly behind the word",
  },
  {
    rule: "machine-path",
    pattern: /(?<![\w.~$}/-])\/(?:work|root|home|Users)\/[\w.-]+/,
    message: "names a place of one machine",
  },
  {
    rule: "registry",
    pattern: /\/\/[\w.-]*(?:npmjs|npmmirror|yarnpkg|jfrog|verdaccio)\b/,
    message: "names a package registry: everybody has their own",
  },
];

/** Files in which any address is one of a registry. */
const NO_ADDRESS_FILES = ["pnpm-lock.yaml", ".npmrc", "pnpm-workspace.yaml"];
const ANY_ADDRESS: BannedWords = {
  rule: "registry",
  pattern: /https?:\/\/[^\s'"]+/,
  message: "is an address: packages come by name",
};

/** Banned words in any text of the repository, generated or not. */
export function wordFindings(path: string, text: string): Finding[] {
  const findings: Finding[] = [];
  const banned = NO_ADDRESS_FILES.includes(path) ? [...BANNED, ANY_ADDRESS] : BANNED;
  for (const { rule, pattern, message } of banned) {
    const all = new RegExp(pattern, "g");
    for (const match of text.matchAll(all)) {
      const line = text.slice(0, match.index).split("\n").length;
      findings.push({ path, line, rule, message: `"${match[0]}" ${message}` });
    }
  }
  return findings;
}

/** The clock and chance are ports: only packages/node asks the machine. */
export function impurityFindings(source: Source, table: TidyTable): Finding[] {
  const { path } = source;
  if (table.impureFolders.some((folder) => path.startsWith(folder))) return [];
  return source.impure.map(({ line, text }) => {
    const message = `${text}: take a Clock or a Random`;
    return { path, line, rule: "impure", message };
  });
}
