// The flags that every command understands, with the environment behind them, checked once.

import { parseCount, parseDuration, parseEndpoints, UsageError } from "./args.js";

export const PROGRESS_KINDS = ["auto", "bar", "plain", "json", "none"] as const;
export type ProgressKind = (typeof PROGRESS_KINDS)[number];
const OUTPUT_KINDS = ["text", "json"] as const;
export const COLOR_KINDS = ["auto", "always", "never"] as const;

export interface Settings {
  /** Masters as host:port; empty if nobody said. */
  readonly endpoints: readonly string[];
  readonly json: boolean;
  readonly quiet: boolean;
  readonly debug: boolean;
  readonly color: boolean;
  /** Never "auto". */
  readonly progress: Exclude<ProgressKind, "auto">;
  /** Files at the same time. */
  readonly concurrency: number;
  /** How long the cluster may stay silent before a command gives up. */
  readonly timeoutMs: number;
}

/** Flags as the parser hands them over: texts as written. */
export interface RawSettings {
  readonly endpoint?: readonly string[];
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly debug?: boolean;
  readonly color?: string;
  readonly progress?: string;
  readonly concurrency?: string;
  readonly timeout?: string;
}

/** What the process runs in. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdoutIsTty: boolean;
  readonly stderrIsTty: boolean;
}

export const CONCURRENCY_DEFAULT = 16;
const CONCURRENCY_MAX = 256;
export const TIMEOUT_DEFAULT = "20s";

/** @throws UsageError naming the flag or variable that is wrong. */
export function resolveSettings(raw: RawSettings, around: Surroundings): Settings {
  const { environment } = around;
  const concurrency = raw.concurrency ?? environment["LUMEO_CONCURRENCY"];
  return {
    endpoints: named(raw.endpoint === undefined ? "LUMEO_ENDPOINTS" : "--endpoint", () =>
      parseEndpoints(raw.endpoint ?? [environment["LUMEO_ENDPOINTS"] ?? ""]),
    ),
    json: wantsJson(raw, environment),
    quiet: raw.quiet ?? false,
    debug: raw.debug ?? isSet(environment["LUMEO_DEBUG"]),
    color: wantsColor(raw.color, around),
    progress: chooseProgress(raw, around),
    concurrency: named(raw.concurrency === undefined ? "LUMEO_CONCURRENCY" : "--concurrency", () =>
      concurrency === undefined ? CONCURRENCY_DEFAULT : parseCount(concurrency, 1, CONCURRENCY_MAX),
    ),
    timeoutMs: named(raw.timeout === undefined ? "LUMEO_TIMEOUT" : "--timeout", () =>
      parseDuration(raw.timeout ?? environment["LUMEO_TIMEOUT"] ?? TIMEOUT_DEFAULT),
    ),
  };
}

/** Says where a wrong value comes from: nobody looks for it in the environment. */
function named<T>(source: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${source}: ${error.message}`);
  }
}

function wantsJson(raw: RawSettings, environment: Surroundings["environment"]): boolean {
  const output = environment["LUMEO_OUTPUT"] ?? "";
  const kind = oneOf("LUMEO_OUTPUT", output === "" ? "text" : output, OUTPUT_KINDS);
  return raw.json ?? kind === "json";
}

function wantsColor(flag: string | undefined, around: Surroundings): boolean {
  const { environment, stdoutIsTty, stderrIsTty } = around;
  const choice = oneOf("--color", flag ?? "auto", COLOR_KINDS);
  if (choice !== "auto") return choice === "always";
  if (isSet(environment["NO_COLOR"])) return false;
  if (isSet(environment["FORCE_COLOR"])) return true;
  return stdoutIsTty && stderrIsTty && environment["TERM"] !== "dumb";
}

function chooseProgress(raw: RawSettings, around: Surroundings): Settings["progress"] {
  const { environment, stderrIsTty } = around;
  if (raw.quiet === true) return "none";
  const silenced = isSet(environment["LUMEO_NO_PROGRESS"]) ? "none" : "auto";
  const choice = oneOf("--progress", raw.progress ?? silenced, PROGRESS_KINDS);
  if (choice !== "auto") return choice;
  const hasTerminal = stderrIsTty && environment["TERM"] !== "dumb" && !isSet(environment["CI"]);
  return hasTerminal ? "bar" : "none";
}

function oneOf<T extends string>(flag: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((one) => one === text);
  if (choice !== undefined) return choice;
  throw new UsageError(`"${text}" is not a choice of ${flag}: ${choices.join(", ")}`);
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== "" && value !== "0" && value !== "false";
}
