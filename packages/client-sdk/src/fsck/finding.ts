// What a check of the whole cluster says: findings, what could not be checked, how far it is.

/** Of names: the metadata contradicts itself. */
export type NameFault =
  | "dangling"
  | "referenceCount"
  | "chunkList"
  | "chunkRecord"
  | "unreferenced"
  | "directory"
  | "inlineBytes";

/** Of replicas: a server does not have what the metadata says, or has what nobody needs. */
export type ReplicaFault =
  | "missing"
  | "stale"
  | "corrupt"
  | "wrongLength"
  | "wrongChecksum"
  | "underReplicated"
  | "orphan"
  | "newer";

/** Of chunks that grow: too few of their servers answer, or a copy is not what was written. */
export type TailFault = "stuck" | "growingDamaged";

export type FsckFault = NameFault | ReplicaFault | TailFault;

export interface FsckFinding {
  readonly fault: FsckFault;
  /** Where, as far as a path is known. */
  readonly path: string | undefined;
  /** Of the chunk, if it is about one. */
  readonly handle: number | undefined;
  /** Name of the chunkserver, if it is about one. */
  readonly server: string | undefined;
  /** For people: what is, and what should be. */
  readonly what: string;
  /** For people: how it is mended. */
  readonly wayOut: string;
}

/** How far a check is. */
export interface FsckProgress {
  /** "names": the metadata; "replicas": what servers have; "waiting": for what goes by itself. */
  readonly phase: "names" | "replicas" | "waiting";
  readonly records: number;
  readonly files: number;
  readonly chunks: number;
  readonly replicas: number;
  /** Of chunks whose copies were read from their disks. */
  readonly bytes: number;
}

export type FsckEvent =
  | { readonly kind: "finding"; readonly finding: FsckFinding }
  /** Something that could not be looked at, and why. */
  | { readonly kind: "unchecked"; readonly subject: string; readonly why: string }
  /** Something worth knowing that is no problem. */
  | { readonly kind: "note"; readonly subject: string; readonly what: string }
  | { readonly kind: "progress"; readonly progress: FsckProgress };

const SEE_JOBS = "it is being made again: lumeo job ls";
const VERIFY = "lumeo chunk verify HANDLE tells the masters, which have it made again";
const METADATA =
  "compare the masters (lumeo master check); what is lost comes from a version, a snapshot or a " +
  "backup; this is a bug of LumeoFS: please report it";

const INLINE =
  "read it from another master (lumeo verify PATH says which have it), and give the one that has " +
  "lost it a new folder, or bring the file back from a version or a backup";

const WAYS_OUT: Readonly<Record<FsckFault, string>> = {
  dangling: METADATA,
  referenceCount: METADATA,
  chunkList: METADATA,
  chunkRecord: METADATA,
  unreferenced: METADATA,
  directory: METADATA,
  inlineBytes: INLINE,
  missing: VERIFY,
  stale: VERIFY,
  corrupt: VERIFY,
  wrongLength: VERIFY,
  wrongChecksum: VERIFY,
  underReplicated: SEE_JOBS,
  orphan: "nobody needs it, and its server does not remove it: see the server's log, restart it",
  stuck: "start the servers that have it; lumeo chunk show HANDLE says more",
  growingDamaged: "its other members make it whole, as soon as the masters have given it an epoch",
  newer:
    "the masters have lost what they knew, and delete nothing now: bring back the newest folders " +
    "of the masters, or a later backup (lumeo backup restore)",
};

/** How a fault is mended, for people. */
export function wayOut(fault: FsckFault, handle: number | undefined): string {
  return WAYS_OUT[fault].replace("HANDLE", String(handle ?? "HANDLE"));
}
