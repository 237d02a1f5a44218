// Versions: earlier contents of a file, kept in history as its directory's policy says. A version
// has the number of its commit, its revision. It is brought back by copying it: copy.ts.

import { type Command, DONE, quoted, type Reply, refuse } from "./command.js";
import { capturedUpTo, dropRecord, getHistory, unversion } from "./history.js";
import type { Moment, Place } from "./inodes.js";
import { type Path, parsePath } from "./path.js";
import type { State } from "./state.js";
import { lastName } from "./tree.js";
import { refuseUnreached, type Walk, walk } from "./walk.js";

/** Removes one earlier content of a file. */
export function removeVersion(
  state: State,
  command: Extract<Command, { kind: "removeVersion" }>,
  now: Moment,
): Reply {
  const path = parsePath(command.path);
  if (path.kind === "refused") return path;
  const walked = walk(state, path);
  if (walked.kind === "blocked") return refuseUnreached("find versions of", path, walked);
  const place = placeOfName(path, walked);
  const id = place === undefined ? undefined : { ...place, ended: command.ended };
  const past = id === undefined ? undefined : getHistory(state, id);
  if (id === undefined || past === undefined || past.version !== command.version) {
    const what = `Cannot remove version ${command.version} of ${quoted(path.text)}`;
    return refuse("NOT_FOUND", `${what}: it does not exist`);
  }
  if (past.since <= capturedUpTo(state, id.parent)) unversion(state, id, past);
  else dropRecord(state, id, now);
  return DONE;
}

/** Where the versions of a path are kept, whether a file is there now or not. */
export function placeOfName(path: Path, walked: Walk): Place | undefined {
  switch (walked.kind) {
    case "file":
    case "directory":
      return walked.place;
    case "missing":
      if (walked.known < path.names.length - 1) return undefined;
      return { parent: walked.parent, name: lastName(path) };
    case "root":
    case "blocked":
      return undefined;
  }
}
