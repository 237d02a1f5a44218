// Absolute paths, as text from users to names in directories.

import { utf8Length } from "@lumeofs/base";
import { quoted, type Refused, refuse } from "./command.js";

export const PATH_BYTES_MAX = 4096;
export const NAME_BYTES_MAX = 255;

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
 * upper and lower case differ, and Unicode is not normalised.
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

/** Whether `inner` is `outer` itself or lies in it. */
export function isWithin(inner: Path, outer: Path): boolean {
  if (outer.names.length === 0) return true;
  return inner.text === outer.text || inner.text.startsWith(`${outer.text}/`);
}

/** The path of the first `count` names. */
export function ancestor(path: Path, count: number): string {
  return `/${path.names.slice(0, count).join("/")}`;
}

function faultOf(text: string): string | undefined {
  if (!text.startsWith("/")) return 'it must begin with "/"';
  if (PATH_BYTES_MAX < utf8Length(text)) return `it is longer than ${PATH_BYTES_MAX} bytes`;
  if (text.includes("\0")) return "it contains a NUL character";
  if (LONE_SURROGATE.test(text)) return "it is not valid Unicode";
  for (const name of text.slice(1).split("/")) {
    if (name === "") return 'it has an empty name ("//", or "/" at its end)';
    if (name === "." || name === "..") return `${quoted(name)} is not a name`;
    if (NAME_BYTES_MAX < utf8Length(name)) {
      return `the name ${quoted(name)} is longer than ${NAME_BYTES_MAX} bytes`;
    }
  }
  return undefined;
}
