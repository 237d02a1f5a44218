import type { Change, ChangeKind } from "../metadata/changes.js";
import type { Path } from "../metadata/path.js";

/** What one follower of the feed wants to hear of. */
export interface Interest {
  readonly prefix: Path;
  /** Undefined: all. */
  readonly kinds: ReadonlySet<ChangeKind> | undefined;
}

/**
 * Whether a change is for this follower: it happened at the prefix or below, by whole names, or it
 * took away or brought everything there with a directory above. A rename counts at both ends.
 */
export function interestedIn({ prefix, kinds }: Interest, change: Change): boolean {
  if (kinds !== undefined && !kinds.has(change.kind)) return false;
  if (prefix.names.length === 0) return true;
  if (touches(prefix.text, change.path, change)) return true;
  return change.kind === "rename" && touches(prefix.text, change.from, change);
}

function touches(prefix: string, path: string, change: Change): boolean {
  if (within(path, prefix)) return true;
  const isWhole = change.kind === "delete" || change.kind === "rename" || change.kind === "create";
  return isWhole && change.file === "directory" && within(prefix, path);
}

function within(inner: string, outer: string): boolean {
  if (!inner.startsWith(outer)) return false;
  return inner.length === outer.length || inner[outer.length] === "/";
}
