// What an audit of the metadata finds.

/**
 * `dangling`: a name, or a record of the past, leads to nothing; `referenceCount`: a count is not
 * the number of what refers; `chunkList`: the chunks of a file are not as many or as long as the
 * file; `chunkRecord`: a file's chunk is unknown, released, or that of another content;
 * `unreferenced`: a chunk is kept and nothing refers to it; `directory`: a directory does not hold
 * what it says; `inlineBytes`: the bytes of a small file that the masters keep are missing, wrong,
 * nobody's, or not counted.
 */
export type NameFault =
  | "dangling"
  | "referenceCount"
  | "chunkList"
  | "chunkRecord"
  | "unreferenced"
  | "directory"
  | "inlineBytes";

export interface NameFinding {
  readonly fault: NameFault;
  /** As far as one is known; "" if none is. */
  readonly path: string;
  /** 0 if it is about none. */
  readonly inode: number;
  /** 0 if it is about none. */
  readonly handle: number;
  /** For people: what is, and what should be. */
  readonly what: string;
}

/** What has been looked at so far, in all passes. */
export interface AuditCounts {
  readonly records: number;
  /** Files, versions and things in the trash that were followed to their chunks. */
  readonly files: number;
  readonly chunks: number;
  /** Of small files that the masters keep. */
  readonly inlineBytes: number;
}

/** A piece of an audit's work: a page of records has been read. */
export interface AuditStep {
  readonly counts: AuditCounts;
  readonly findings: readonly NameFinding[];
}
