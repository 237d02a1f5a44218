// How a file's chunks are kept: what its caller and the policy say becomes one of two ways.

import { CODE_DEFAULT, type Code, formatCode, LumeoError, MiB, parseCode } from "@lumeofs/base";
import type { CodeFallback, CodePolicy } from "./operations.js";

/** Where small files are kept as copies and others coded: files from this size on are coded. */
export const AUTO_CODED_BYTES_MIN = 1 * MiB;

/** How a chunk is kept. */
export interface Redundancy {
  /** Copies of a chunk that is not coded. */
  readonly replicas: number;
  /** Undefined for copies. */
  readonly code: Code | undefined;
  /** For whose code there are too few servers. */
  readonly fallback: CodeFallback;
}

/** What a policy means for a file of so many bytes. */
export function codeFor(policy: CodePolicy, sizeBytes: number): Code | undefined {
  switch (policy.kind) {
    case "replicated":
      return undefined;
    case "coded":
      return policy.code;
    case "auto":
      return AUTO_CODED_BYTES_MIN <= sizeBytes ? policy.code : undefined;
  }
}

/**
 * What "4+2", "4+2/256KiB", "auto", "auto:6+3", "replicated" or "none", which is the same, asks
 * for.
 *
 * @throws LumeoError INVALID_ARGUMENT for any other text.
 */
export function codePolicyOf(text: string): CodePolicy {
  if (text === "none" || text === "replicated") return { kind: "replicated" };
  if (text === "auto") return { kind: "auto", code: CODE_DEFAULT };
  const isAuto = text.startsWith("auto:");
  const code = parseCode(isAuto ? text.slice("auto:".length) : text);
  if (code !== undefined) return { kind: isAuto ? "auto" : "coded", code };
  const known = `"${formatCode(CODE_DEFAULT)}", "auto", "auto:6+3" or "replicated"`;
  throw new LumeoError("INVALID_ARGUMENT", `Cannot use code "${text}": expected such as ${known}`);
}

/** The same as text; an `auto` says its code. */
export function formatCodePolicy(policy: CodePolicy): string {
  switch (policy.kind) {
    case "replicated":
      return "replicated";
    case "coded":
      return formatCode(policy.code);
    case "auto":
      return `auto:${formatCode(policy.code)}`;
  }
}
