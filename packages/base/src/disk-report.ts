// What a chunkserver tells the masters, and both tell operators, of one of its disks.

/** One disk of a chunkserver, as it says. Times: milliseconds since 1970, 0 for none. */
export interface DiskReport {
  /** Empty if it was never known. */
  readonly uuid: string;
  readonly folder: string;
  /** "suspect": calls do not return, so nothing new is sent there for now. */
  readonly state: "serving" | "readOnly" | "suspect" | "lost";
  readonly chunkCount: number;
  readonly usedBytes: number;
  readonly capacityBytes: number;
  readonly freeBytes: number;
  readonly damagedCount: number;
  /** What was there before this has been read again; 0 before the first complete round. */
  readonly scrubbedMs: number;
  /** 0 unless it is lost. */
  readonly lostSinceMs: number;
  /** Why it is lost, or suspect, for people. */
  readonly why: string;
  /** Growing chunks live there. */
  readonly hasTails: boolean;
}
