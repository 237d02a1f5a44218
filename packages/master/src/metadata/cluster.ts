// The cluster's own record: its id, given once by the first leader, and the root directory.

import { ROOT_INODE } from "@lumeofs/base";
import { encodeWhole, readText, readWhole, writeText } from "./fields.js";
import { emptyDirectory, type Moment, putInode } from "./inodes.js";
import { clusterKey } from "./keys.js";
import type { State, StateView } from "./state.js";

/** The cluster's id, or undefined before the first leader gave it one. */
export function getClusterId(view: StateView): string | undefined {
  const bytes = view.get(clusterKey());
  return bytes === undefined ? undefined : readWhole("cluster record", bytes, readText);
}

/** Whether the cluster has its id. */
export function isSetUp(view: StateView): boolean {
  return view.get(clusterKey()) !== undefined;
}

/** Gives the cluster its id and its root, unless it has them. */
export function initCluster(state: State, clusterId: string, now: Moment): void {
  if (getClusterId(state) !== undefined) return;
  state.put(
    clusterKey(),
    encodeWhole((writer) => writeText(writer, clusterId)),
  );
  putInode(state, ROOT_INODE, emptyDirectory(now));
}
