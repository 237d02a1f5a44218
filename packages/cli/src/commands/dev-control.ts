// The commands for a cluster on this machine that was started before.

import {
  addMastersIn,
  inspectCluster,
  removeMastersIn,
  reviveClusterIn,
  stopClusterIn,
} from "@lumeofs/local-cluster";
import { parseCount } from "../args.js";
import type { Context } from "../context.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { plural } from "../format.js";

/** Where `lumeo dev` keeps a cluster if nothing else is said. */
export const DEV_DIR_DEFAULT = "./.lumeo-dev";

/** Stops the cluster of a folder. Nothing to stop is fine. */
export async function stop({ output }: Context, dir = DEV_DIR_DEFAULT): Promise<ExitStatus> {
  const stopped = await stopClusterIn(dir);
  const text =
    stopped === 0 ? `No cluster runs in "${dir}"` : `Stopped ${plural(stopped, "member")}`;
  output.result(text, { dir, stopped });
  return EXIT.ok;
}

/** Shows the members. Exit code 0 when all run, else 1. */
export async function status({ output }: Context, dir = DEV_DIR_DEFAULT): Promise<ExitStatus> {
  const cluster = inspectCluster(dir);
  const down = cluster.members.filter((member) => member.pid === null);
  const lines = cluster.members.map(({ id, role, pid, address }) =>
    [id.padEnd(5), role.padEnd(11), address.padEnd(21), pid === null ? "down" : `pid ${pid}`].join(
      "  ",
    ),
  );
  const endpoints = `LUMEO_ENDPOINTS=${cluster.endpoints.join(",")}`;
  await output.line([...lines, endpoints].join("\n"), {
    ...cluster,
    supervisor: cluster.supervisor ?? null,
  });
  return down.length === 0 ? EXIT.ok : EXIT.failed;
}

/** Starts the members that do not run. Exit code 1 if one of them does not stay. */
export async function revive({ output }: Context, dir = DEV_DIR_DEFAULT): Promise<ExitStatus> {
  const { revived, losses } = await reviveClusterIn(dir);
  for (const { id, why } of losses) output.warn(`${id} ended again: ${why}`);
  if (0 < revived.length) output.result(`Started ${revived.join(", ")}`, { dir, revived, losses });
  else if (0 < losses.length) output.result("Started nobody", { dir, revived, losses });
  else output.result("All members run", { dir, revived, losses });
  return losses.length === 0 ? EXIT.ok : EXIT.failed;
}

/** More at once would only make the group slower. */
const MASTERS_AT_ONCE_MAX = 4;

/** Starts masters and has the group take them in; it works meanwhile. */
export async function addMaster(
  { output }: Context,
  { dir = DEV_DIR_DEFAULT, count = "1" }: { readonly dir?: string; readonly count?: string },
): Promise<ExitStatus> {
  const added = await addMastersIn(dir, parseCount(count, 1, MASTERS_AT_ONCE_MAX));
  const { endpoints } = inspectCluster(dir);
  const text = `${added.join(", ")} ${added.length === 1 ? "votes" : "vote"} now`;
  output.result(`${text}\nexport LUMEO_ENDPOINTS=${endpoints.join(",")}`, {
    dir,
    added,
    endpoints,
  });
  return EXIT.ok;
}

/** Takes masters out of the group and ends them; it works meanwhile. */
export async function removeMaster(
  { output }: Context,
  ids: readonly string[],
  { dir = DEV_DIR_DEFAULT }: { readonly dir?: string },
): Promise<ExitStatus> {
  await removeMastersIn(dir, ids);
  const { endpoints } = inspectCluster(dir);
  const text = `${ids.join(", ")} ${ids.length === 1 ? "is" : "are"} gone`;
  output.result(`${text}\nexport LUMEO_ENDPOINTS=${endpoints.join(",")}`, {
    ...{ dir, removed: ids, endpoints },
  });
  return EXIT.ok;
}
