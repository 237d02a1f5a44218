// Paths as users write them. The masters check them; here only what they would take for something
// else is put right.

import { LumeoError } from "@lumeofs/base";

/** @throws LumeoError INVALID_ARGUMENT if it is no absolute path. */
export function anyPath(path: string): string {
  if (typeof path === "string" && path.startsWith("/")) return path;
  throw new LumeoError(
    "INVALID_ARGUMENT",
    `Cannot use path ${JSON.stringify(path) ?? typeof path}: it must begin with "/"`,
  );
}

/** The same; "/" at the end says that a directory is meant, and is dropped. */
export function directoryPath(path: string): string {
  const trimmed = anyPath(path).replace(/\/+$/, "");
  return trimmed === "" ? "/" : trimmed;
}
