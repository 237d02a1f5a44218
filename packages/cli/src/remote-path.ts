// Paths in the cluster, as arguments of the command: "/a/b", or "lumeo:/a/b" where that reads
// clearer. Names are kept as they are, byte for byte; only the slashes between them are tidied.

import { UsageError } from "./args.js";

/** A path in the cluster. */
export interface RemotePath {
  /** Starts with "/", no doubled or trailing slash except for the root itself. */
  readonly path: string;
  /** It was written with a slash at its end: it means a directory. */
  readonly isFolder: boolean;
}

/** @throws UsageError if this cannot be a path in the cluster. */
export function parseRemotePath(text: string): RemotePath {
  const plain = text.startsWith("lumeo:/") ? text.slice("lumeo:".length) : text;
  if (plain.startsWith("//") && text.startsWith("lumeo:")) {
    throw new UsageError(`"${text}" names a host. Give it with --endpoint, the path as "/path"`);
  }
  if (!plain.startsWith("/")) {
    throw new UsageError(`"${text}" is not a path in the cluster: those start with "/"`);
  }
  const parts = plain.split("/").filter((part) => part !== "");
  const relative = parts.find((part) => part === "." || part === "..");
  if (relative !== undefined) {
    throw new UsageError(`"${text}" has the part "${relative}": write the path out in full`);
  }
  return { path: `/${parts.join("/")}`, isFolder: plain.endsWith("/") };
}

/** The child of a directory. */
export function childPath(folder: string, name: string): string {
  return folder === "/" ? `/${name}` : `${folder}/${name}`;
}

/** The last name; empty for the root. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The path of something in `folder`, seen from there: without a slash in front. */
export function nameBelow(folder: string, path: string): string {
  return path.slice(folder === "/" ? 1 : folder.length + 1);
}

/** Whether a name from the cluster is safe as the name of a local file. */
export function isLocalName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && !/[/\0]/.test(name);
}
