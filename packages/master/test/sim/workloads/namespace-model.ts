// What a directory of files and empty folders is to its users: the plain object that the masters
// together pretend to be. Written from the promises, not from the implementation.

import type { Model } from "@lumeofs/testkit";

/** A call on the names of one directory. `tag` tells one content from another. */
export type Call =
  | { readonly kind: "mkdir"; readonly name: string }
  | {
      readonly kind: "create";
      readonly name: string;
      readonly tag: number;
      readonly onlyNew: boolean;
    }
  | { readonly kind: "remove"; readonly name: string }
  | {
      readonly kind: "rename";
      readonly from: string;
      readonly to: string;
      readonly overwrite: boolean;
    }
  | { readonly kind: "stat"; readonly name: string }
  | { readonly kind: "list" };

/** "done", an error code, or what was found: "dir", "file 7", "a=dir b=file 7". */
export type Answer = string;

/** Name to "dir" or "file <tag>", printed in the order of names. */
type Contents = ReadonlyMap<string, string>;

export const DIRECTORY: Model<Contents, Call, Answer> = {
  initial: new Map(),
  step: (contents, call, answer) => {
    const { after, says } = perform(contents, call);
    return answer === undefined || answer === says ? after : undefined;
  },
  print: printed,
};

/** The names and what they stand for, as `list` answers. */
export function printed(contents: Contents): string {
  const names = [...contents.keys()].sort();
  return names.map((name) => `${name}=${contents.get(name)}`).join(" ");
}

interface Effect {
  readonly after: Contents;
  readonly says: Answer;
}

function perform(contents: Contents, call: Call): Effect {
  const refuse = (says: string): Effect => ({ after: contents, says });
  const change = (edit: (after: Map<string, string>) => void): Effect => {
    const after = new Map(contents);
    edit(after);
    return { after, says: "done" };
  };
  switch (call.kind) {
    case "stat":
      return refuse(contents.get(call.name) ?? "NOT_FOUND");
    case "list":
      return refuse(printed(contents));
    case "mkdir":
      if (contents.has(call.name)) return refuse("EXISTS");
      return change((after) => after.set(call.name, "dir"));
    case "create": {
      const old = contents.get(call.name);
      if (old === "dir") return refuse("IS_DIRECTORY");
      if (old !== undefined && call.onlyNew) return refuse("PRECONDITION");
      return change((after) => after.set(call.name, `file ${call.tag}`));
    }
    case "remove":
      if (!contents.has(call.name)) return refuse("NOT_FOUND");
      return change((after) => after.delete(call.name));
    case "rename": {
      const moved = contents.get(call.from);
      const old = contents.get(call.to);
      if (moved === undefined) return refuse("NOT_FOUND");
      if (call.from === call.to) return refuse("done");
      // The directories in it are empty: one may replace another, as a file may a file.
      const isSameKind = (old === "dir") === (moved === "dir");
      const isFree = old === undefined || (isSameKind && call.overwrite);
      if (!isFree) return refuse("EXISTS");
      return change((after) => {
        after.delete(call.from);
        after.set(call.to, moved);
      });
    }
  }
}
