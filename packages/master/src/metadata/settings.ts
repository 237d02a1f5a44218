// What users set on directories for all that lies below them: policies and quotas.

import { type InodeId, ROOT_INODE } from "@lumeofs/base";
import { emit } from "./changes.js";
import { type Command, quoted, type Refused, type Reply, refuse } from "./command.js";
import { changedSettings, type DirectoryInode, NO_POLICY, NO_QUOTA } from "./directory-record.js";
import { type Moment, putInode } from "./inodes.js";
import { type Path, parsePath } from "./path.js";
import { type EffectivePolicy, effectivePolicy, refusePolicy, refuseQuota } from "./policy.js";
import type { State, StateView } from "./state.js";
import { refuseUnreached, type Walk, walk } from "./walk.js";

type CommandOf<Kind extends Command["kind"]> = Extract<Command, { kind: Kind }>;
export type WalkedDirectory = Extract<Walk, { kind: "root" | "directory" }>;

/** Changes the policy of a directory: what is undefined is inherited from then on. */
export function setPolicy(state: State, command: CommandOf<"setPolicy">, now: Moment): Reply {
  const unfit = refusePolicy(changedSettings(NO_POLICY, command.policy));
  if (unfit !== undefined) return unfit;
  return changeDirectory(state, { action: "set policy of", path: command.path }, now, (before) => ({
    policy: changedSettings(before.policy, command.policy),
  }));
}

/** Changes the quota of a directory. It may hold more already: then it can only shrink. */
export function setQuota(state: State, command: CommandOf<"setQuota">, now: Moment): Reply {
  const unfit = refuseQuota(changedSettings(NO_QUOTA, command.quota));
  if (unfit !== undefined) return unfit;
  return changeDirectory(state, { action: "set quota of", path: command.path }, now, (before) => ({
    quota: changedSettings(before.quota, command.quota),
  }));
}

/**
 * What holds for files in a directory. Where it is not there yet, that is the policy of the last
 * directory on the way to it: one that is made on the way inherits it.
 */
export function policyAt(
  view: StateView,
  text: string,
): ({ readonly kind: "policy" } & EffectivePolicy) | Refused {
  const path = parsePath(text);
  if (path.kind === "refused") return path;
  const walked = walk(view, path);
  switch (walked.kind) {
    case "blocked":
      return refuseUnreached("look up the policy of", path, walked);
    case "file":
      return { kind: "policy", ...effectivePolicy(view, walked.place.parent) };
    case "missing":
      return { kind: "policy", ...effectivePolicy(view, walked.parent) };
    case "root":
    case "directory":
      return { kind: "policy", ...effectivePolicy(view, idOf(walked)) };
  }
}

/** Puts a directory that has been changed, and tells the feed. */
export function putSettings(
  state: State,
  target: { readonly path: Path; readonly walked: WalkedDirectory },
  node: DirectoryInode,
  now: Moment,
): Reply {
  const { path, walked } = target;
  const inode = idOf(walked);
  putInode(state, inode, node);
  emit(state, now, { kind: "attributes", file: "directory", path: path.text, sizeBytes: 0 });
  return { kind: "inode", inode, node };
}

function changeDirectory(
  state: State,
  what: { readonly action: string; readonly path: string },
  now: Moment,
  change: (before: DirectoryInode) => Partial<Pick<DirectoryInode, "policy" | "quota">>,
): Reply {
  const path = parsePath(what.path);
  if (path.kind === "refused") return path;
  const walked = walk(state, path);
  switch (walked.kind) {
    case "missing":
    case "blocked":
      return refuseUnreached(what.action, path, walked);
    case "file": {
      const why = "it is a file, and its directory says how it is kept";
      return refuse("NOT_DIRECTORY", `Cannot ${what.action} ${quoted(path.text)}: ${why}`);
    }
    case "root":
    case "directory":
      return putSettings(
        state,
        { path, walked },
        { ...walked.inode, ...change(walked.inode) },
        now,
      );
  }
}

function idOf(walked: WalkedDirectory): InodeId {
  return walked.kind === "root" ? ROOT_INODE : walked.id;
}
