// What the shell is told. The numbers are API: scripts depend on them.

/** The exit codes of the command. */
export const EXIT = {
  ok: 0,
  /** Failed in a way that has no number of its own, or some of many failed. */
  failed: 1,
  usage: 2,
  /** Of a check: not everything could be looked at. */
  incomplete: 2,
  notFound: 3,
  /** Something is there that should not be, or a condition did not hold. */
  conflict: 4,
  permission: 5,
  /** No leader, no answer in time: the same command may succeed later. */
  unavailable: 6,
  /** Bytes are not what was written, or are lost. */
  integrity: 7,
  noSpace: 8,
  config: 10,
  interrupted: 130,
  terminated: 143,
} as const;

export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

const BY_CODE: Readonly<Record<string, ExitStatus>> = {
  NOT_FOUND: EXIT.notFound,
  EXISTS: EXIT.conflict,
  PRECONDITION: EXIT.conflict,
  CONFLICT: EXIT.conflict,
  NOT_EMPTY: EXIT.conflict,
  LOCKED: EXIT.conflict,
  GONE: EXIT.conflict,
  NOT_DIRECTORY: EXIT.conflict,
  // The command does not fit the object: -r is missing, or a directory is named as a file.
  IS_DIRECTORY: EXIT.usage,
  INVALID_ARGUMENT: EXIT.usage,
  UNIMPLEMENTED: EXIT.usage,
  UNAUTHENTICATED: EXIT.permission,
  PERMISSION: EXIT.permission,
  QUOTA: EXIT.noSpace,
  NO_SPACE: EXIT.noSpace,
  CHECKSUM: EXIT.integrity,
  DATA_LOSS: EXIT.integrity,
  CORRUPT: EXIT.integrity,
  UNAVAILABLE: EXIT.unavailable,
  OVERLOADED: EXIT.unavailable,
  CONNECTION_LOST: EXIT.unavailable,
  NOT_LEADER: EXIT.unavailable,
  NO_LEADER: EXIT.unavailable,
  TIMEOUT: EXIT.unavailable,
  UNKNOWN_OUTCOME: EXIT.unavailable,
  CONFIG: EXIT.config,
  ABORTED: EXIT.interrupted,
  USAGE: EXIT.usage,
  // Codes of the operating system, for local files.
  ENOENT: EXIT.notFound,
  EACCES: EXIT.permission,
  EPERM: EXIT.permission,
  EROFS: EXIT.permission,
  EEXIST: EXIT.conflict,
  EISDIR: EXIT.conflict,
  ENOTDIR: EXIT.conflict,
  ENOTEMPTY: EXIT.conflict,
  ENOSPC: EXIT.noSpace,
  EDQUOT: EXIT.noSpace,
};

/**
 * After these, the next file would fail in the same way: what remains is not tried. A missing
 * permission is not among them: of many local files one may be unreadable.
 */
const STOPS_THE_REST: ReadonlySet<ExitStatus> = new Set([
  EXIT.unavailable,
  EXIT.noSpace,
  EXIT.interrupted,
  EXIT.terminated,
]);

/** The exit code for an error code such as "LUMEO_NOT_FOUND" or "ENOENT". */
export function exitStatusOf(code: string | undefined): ExitStatus {
  return BY_CODE[(code ?? "").replace(/^LUMEO_/, "")] ?? EXIT.failed;
}

/**
 * The code that an error carries, of ours or of the operating system. Where the client found an
 * argument unusable because the operating system refused it, the refusal says more.
 */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  if (typeof error.code !== "string") return undefined;
  const refusal = "cause" in error ? codeOf(error.cause) : undefined;
  const isRefused = error.code === "LUMEO_INVALID_ARGUMENT" && refusal?.startsWith("E") === true;
  return isRefused ? refusal : error.code;
}

/** What happened to the parts of a command that works on many things. */
export interface Tally {
  readonly done: number;
  readonly failed: number;
  /** Of the first failure. */
  readonly firstFailure: ExitStatus | undefined;
  /** A failure after which the rest was not tried; undefined also if there was no rest. */
  readonly stoppedBy: ExitStatus | undefined;
}

/** Whether a failure makes it pointless to go on with other files. */
export function stopsTheRest(status: ExitStatus): boolean {
  return STOPS_THE_REST.has(status);
}

/** One thing: its own code. Many: 1 if some failed, unless a cause stopped all that was left. */
export function exitStatusOfMany(tally: Tally): ExitStatus {
  if (tally.failed === 0) return EXIT.ok;
  if (tally.stoppedBy !== undefined) return tally.stoppedBy;
  return tally.done === 0 && tally.failed === 1 ? (tally.firstFailure ?? EXIT.failed) : EXIT.failed;
}
