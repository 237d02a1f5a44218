/**
 * What the masters think of a replica that a server says it has.
 *
 * `member`, `moveTarget`: it is, or is to become, a copy of a chunk; `stale`: of an epoch before
 * the chunk's; `released`: no file has the chunk any more, for less than its grace; `granted`: a
 * writer may still make it a chunk; `kept`: no member's copy, but those are not all known to be
 * good; `ofLostTime`: written after the backup that the masters were founded from; `garbage`:
 * nobody needs it; `newer`: of what the masters cannot have told anybody: they have lost it.
 */
export type ReplicaStanding =
  | "member"
  | "moveTarget"
  | "stale"
  | "released"
  | "granted"
  | "kept"
  | "ofLostTime"
  | "garbage"
  | "newer";
