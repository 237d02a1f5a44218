// What an operator asks of conversions, before a job is made of it.

import { formatCode, isSameCode, LumeoError, unitCount } from "@lumeofs/base";
import type { lumeo } from "@lumeofs/proto";
import type { TakenPicture } from "../duties/healing/take-picture.js";
import { mayTakeCopy } from "../healing/choose-move.js";
import type { Command } from "../metadata/command.js";
import { REPLICAS_MAX } from "../metadata/grants.js";
import { type Conversion, isOpen } from "../metadata/jobs.js";
import { effectivePolicy } from "../metadata/policy.js";
import { type NamedInode, stat } from "../metadata/queries.js";
import type { StateReader } from "../metadata/state.js";
import { decodeCode } from "./coding-wire.js";
import { decodeNumber } from "./field-wire.js";
import { decodeText, errorOf } from "./wire.js";

const PATH_LENGTH_MAX = 4_096;

type Tree = Extract<Conversion, { kind: "tree" }>;

/**
 * The command for a conversion.
 *
 * @throws LumeoError NOT_FOUND; IS_DIRECTORY if it does not say that all below is meant;
 *         TOO_FEW_SERVERS for the code; CONFLICT if an open job does the opposite there;
 *         PRECONDITION if a policy would undo it.
 */
export function conversionJob(
  state: StateReader,
  picture: TakenPicture,
  request: lumeo.master.v1.ICreateJobRequest,
): Extract<Command, { kind: "createJob" }> {
  const { path: text, to, recursive, copies: count } = request.conversion ?? {};
  const path = decodeText(text, "path", PATH_LENGTH_MAX);
  const found = stat(state, path);
  if (found.kind === "refused") throw errorOf(found);
  const what = `Cannot convert "${path}"`;
  if (found.inode.kind === "directory" && recursive !== true) {
    const wayOut = "say that all below it is meant (-r)";
    throw new LumeoError("IS_DIRECTORY", `${what}: it is a directory; ${wayOut}`);
  }
  const code = to ? decodeCode(to) : undefined;
  const copies = decodeNumber(count, "copies");
  if (REPLICAS_MAX < copies || (0 < copies && code !== undefined)) {
    throw new LumeoError("INVALID_ARGUMENT", `${what}: 1 to ${REPLICAS_MAX} copies, or a code, do`);
  }
  const meant = copies === 0 ? {} : { copies };
  const conversion: Tree = { kind: "tree", root: found.id, path, to: code, ...meant };
  refuseTooFew(what, conversion, picture);
  refuseOpposite(what, conversion, picture);
  if (code === undefined) refuseUndone(what, state, found);
  return { kind: "createJob", job: "convert", subject: undefined, conversion };
}

function refuseTooFew(what: string, { to, copies = 0 }: Tree, { sites }: TakenPicture): void {
  const able = [...sites.values()].filter(mayTakeCopy).length;
  const units = to === undefined ? copies : unitCount(to);
  if (units <= able) return;
  const layout = to === undefined ? `${copies} copies need` : `${formatCode(to)} needs`;
  const needed = `${layout} ${units} chunkservers that take chunks`;
  throw new LumeoError(
    "TOO_FEW_SERVERS",
    `${what}: ${needed}, and ${able} of ${sites.size} do; start more of them, or take ` +
      (to === undefined ? "fewer copies" : "a code of fewer units"),
  );
}

/** Two jobs that want different things of one file would go on for ever. */
function refuseOpposite(what: string, { path, to, copies }: Tree, { allJobs }: TakenPicture): void {
  for (const { id, job } of allJobs) {
    const { conversion } = job;
    if (conversion?.kind !== "tree" || !isOpen(job)) continue;
    if (isSameCode(conversion.to, to) && conversion.copies === copies) continue;
    if (!isWithin(path, conversion.path) && !isWithin(conversion.path, path)) continue;
    const other = `job ${id} converts "${conversion.path}" to something else`;
    throw new LumeoError("CONFLICT", `${what}: ${other}; wait for it, or cancel it`);
  }
}

/** By age, files would be coded again at once. */
function refuseUndone(what: string, state: StateReader, found: NamedInode): void {
  const above = found.path.slice(0, found.path.lastIndexOf("/")) || "/";
  const directory = found.inode.kind === "directory" ? found : stat(state, above);
  if (directory.kind === "refused") return;
  const { codeAfterMs } = effectivePolicy(state, directory.id);
  if (codeAfterMs === 0) return;
  const wayOut = "say first that it does not (lumeo policy set DIRECTORY --ec-after 0)";
  throw new LumeoError(
    "PRECONDITION",
    `${what} to copies: its policy codes files again when they are old; ${wayOut}`,
  );
}

function isWithin(path: string, tree: string): boolean {
  return tree === "/" || path === tree || path.startsWith(`${tree}/`);
}
