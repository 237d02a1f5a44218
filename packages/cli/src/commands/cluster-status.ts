import type { ClusterStatus } from "@lumeofs/client";
import type { Context } from "../context.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { formatBytes, formatCount } from "../format.js";
import { table } from "../table.js";

/** Shows the masters and chunkservers as the leading master knows them. */
export async function clusterStatus(context: Context): Promise<ExitStatus> {
  const client = await context.client();
  const status = await client.clusterStatus(context.call);
  await context.output.line(await describe(status, context), status);
  return EXIT.ok;
}

async function describe(status: ClusterStatus, context: Context): Promise<string> {
  const { output } = context;
  const leads = status.leader === "" ? "none" : status.leader;
  const masters = status.masters.map((one) => [
    ...[one.id, one.address, one.role, String(one.term), formatCount(one.lastApplied)],
  ]);
  const chunkservers = status.chunkservers.map((one) => [
    ...[one.id, one.address, one.readOnly ? `${one.state}, read-only` : one.state],
    formatCount(one.chunks),
    `${formatBytes(one.usedBytes)} of ${formatBytes(one.capacityBytes)}`,
    String(one.damaged),
  ]);
  return [
    `${output.bold("Leader")} ${leads}, term ${status.term}`,
    "",
    await table(["MASTER", "ADDRESS", "ROLE", "TERM", "APPLIED"], masters),
    "",
    await table(["CHUNKSERVER", "ADDRESS", "STATE", "CHUNKS", "USED", "DAMAGED"], chunkservers),
  ].join("\n");
}
