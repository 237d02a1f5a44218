// Where the things that are copied end up, by the rules of cp -r and scp -r, the same for put and
// get:
//
// D1. A target that is a directory, or is written with a slash at its end, takes sources under
//     their own names.
// D2. Otherwise the one source becomes the target itself, file or directory.
// D3. Several sources need D1.
// D4. Missing directories on the way to the target are made.

import { UsageError } from "./args.js";

export interface Target {
  /** As the user wrote it, for messages. */
  readonly shown: string;
  /** What is there now. */
  readonly found: "nothing" | "file" | "directory";
  /** Written with a slash at its end. */
  readonly isFolder: boolean;
}

export type Placement =
  /** Each source goes into the target under its own name. */
  | "inside"
  /** The source becomes the target. */
  | "as";

/** @throws UsageError if these sources cannot go there. */
export function choosePlacement(sourceCount: number, target: Target): Placement {
  const { found, isFolder, shown } = target;
  if (found === "file" && isFolder) {
    throw new UsageError(`Cannot copy into "${shown}": it is a file, not a directory`);
  }
  if (found === "directory" || isFolder) return "inside";
  if (sourceCount === 1) return "as";
  throw new UsageError(
    `Cannot copy ${sourceCount} sources to "${shown}": ` +
      (found === "file"
        ? "it is a file"
        : 'there is no such directory; end it with "/" to make it'),
  );
}
