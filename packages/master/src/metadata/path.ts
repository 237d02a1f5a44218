// Absolute paths, as text from users to names in directories.

import { utf8Length } from "@lumeofs/base";
import { quoted, type Refused, refuse } from "./command.js";

export const PATH_BYTES_MAX = 4096;
export const NAME_BYTES_MAX = 255;
/** Below it lie a directory's snapshots: nothing else has this name. */
export const SNAPSHOTS_NAME = ".snapshot";

/** A checked path. The root has no names. */
export interface Path {
  readonly kind: "path";
  readonly text: string;
  readonly names: readonly string[];
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Checks an absolute path: '/' between names, no empty name, no "." or "..", no NUL, at most
 * NAME_BYTES_MAX bytes of UTF-8 in a name and PATH_BYTES_MAX in all. Names are taken as they are:
 * upper and lower case differ, and Unicode is not normalised. Paths into snapshots are not among
 * them, because nothing changes there: `parseReadPath`.
 *
 * @returns The path, or INVALID_ARGUMENT saying what is wrong with it.
 */
export function parsePath(text: string): Path | Refused {
  if (text === "/") return { kind: "path", text, names: [] };
  const fault = faultOf(text);
  if (fault !== undefined) {
    return refuse("INVALID_ARGUMENT", `Cannot use path ${quoted(text)}: ${fault}`);
  }
  return { kind: "path", text, names: text.slice(1).split("/") };
}

/** A path into a snapshot: "/dir/.snapshot/NAME/rest". */
export interface SnapshotPath {
  readonly kind: "snapshotPath";
  readonly text: string;
  readonly directory: Path;
  /** Undefined for the place where the snapshots themselves are. */
  readonly snapshot: string | undefined;
  /** From the snapshot's own directory on. */
  readonly names: readonly string[];
}

/** Takes apart what can be read: a path, or one into a snapshot. */
export function parseReadPath(text: string): Path | SnapshotPath | Refused {
  const names = text.slice(1).split("/");
  const at = names.indexOf(SNAPSHOTS_NAME);
  if (at < 0) return parsePath(text);
  const directory = parsePath(`/${names.slice(0, at).join("/")}`);
  if (directory.kind === "refused") return directory;
  const below = names.slice(at + 1);
  const rest = below.length === 0 ? directory : parsePath(`/${below.join("/")}`);
  if (rest.kind === "refused" || PATH_BYTES_MAX < utf8Length(text)) {
    const shape = `use "DIRECTORY/${SNAPSHOTS_NAME}/NAME/PATH"`;
    return refuse("INVALID_ARGUMENT", `Cannot use path ${quoted(text)}: ${shape}`);
  }
  return {
    kind: "snapshotPath",
    text,
    directory,
    snapshot: below[0],
    names: below.slice(1),
  };
}

/** Whether `inner` is `outer` itself or lies in it. */
export function isWithin(inner: Path, outer: Path): boolean {
  if (outer.names.length === 0) return true;
  return inner.text === outer.text || inner.text.startsWith(`${outer.text}/`);
}

/** The path of the first `count` names. */
export function ancestor(path: Path, count: number): string {
  return `/${path.names.slice(0, count).join("/")}`;
}

const SLASH = 0x2f;
const DOT = 0x2e;

/** Whether one look at each character shows that a path is good. Most are; others may be, too. */
function isPlain(text: string): boolean {
  const { length } = text;
  if (PATH_BYTES_MAX < length || text.charCodeAt(0) !== SLASH) return false;
  let start = 1;
  for (let i = 1; i <= length; i++) {
    const unit = i === length ? SLASH : text.charCodeAt(i);
    if (unit === 0 || 0x80 <= unit) return false;
    if (unit !== SLASH) continue;
    if (i === start || NAME_BYTES_MAX < i - start || text.charCodeAt(start) === DOT) return false;
    start = i + 1;
  }
  return true;
}

function faultOf(text: string): string | undefined {
  if (isPlain(text)) return undefined;
  if (!text.startsWith("/")) return 'it must begin with "/"';
  if (PATH_BYTES_MAX < utf8Length(text)) return `it is longer than ${PATH_BYTES_MAX} bytes`;
  if (text.includes("\0")) return "it contains a NUL character";
  if (LONE_SURROGATE.test(text)) return "it is not valid Unicode";
  for (const name of text.slice(1).split("/")) {
    if (name === "") return 'it has an empty name ("//", or "/" at its end)';
    if (name === "." || name === "..") return `${quoted(name)} is not a name`;
    if (name === SNAPSHOTS_NAME) return `below ${quoted(name)} are snapshots, which never change`;
    if (NAME_BYTES_MAX < utf8Length(name)) {
      return `the name ${quoted(name)} is longer than ${NAME_BYTES_MAX} bytes`;
    }
  }
  return undefined;
}
