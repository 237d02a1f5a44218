// First aid: what is wrong with a cluster, and which command mends it.

import type { Context } from "../context.js";
import type { DoctorFinding, Severity } from "../doctor/finding.js";
import { judge } from "../doctor/judge.js";
import { observe, type SeenMember } from "../doctor/observation.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { plural } from "../format.js";

export interface DoctorOptions {
  readonly dir?: string;
}

const MARKS: Readonly<Record<Severity, string>> = {
  ok: "✔",
  notice: "·",
  warning: "!",
  critical: "✘",
};

/** Exit code 0 if nothing is to be done, 1 if something is, 2 if not everything could be seen. */
export async function doctor(context: Context, { dir }: DoctorOptions): Promise<ExitStatus> {
  const { output } = context;
  const members = dir === undefined ? undefined : await membersOf(dir);
  const { findings, unseen } = judge(await observe(context, { members, dir }));
  for (const finding of findings) {
    if (finding.severity === "ok" && output.quiet) continue;
    await output.line(lineOf(finding), { finding });
  }
  for (const what of unseen) await output.line(`? not seen: ${what}`, { unseen: what });
  const count = (severity: Severity): number =>
    findings.filter((finding) => finding.severity === severity).length;
  const [critical, warnings] = [count("critical"), count("warning")];
  const found = [
    ...(critical === 0 ? [] : [`${critical} critical`]),
    ...(warnings === 0 ? [] : [plural(warnings, "warning")]),
  ].join(", ");
  const left = unseen.length === 0 ? "" : ", not everything could be seen";
  const summary = { critical, warnings, notices: count("notice"), unseen: unseen.length };
  const text = `${output.bold(found === "" ? "nothing to mend" : found)}${left}`;
  if (output.json || !output.quiet) await output.line(text, { summary });
  if (0 < critical + warnings) return EXIT.failed;
  return 0 < unseen.length ? EXIT.incomplete : EXIT.ok;
}

function lineOf({ severity, check, subject, what, mend }: DoctorFinding): string {
  const about = subject === "" ? check : `${check}, ${subject}`;
  const line = `${MARKS[severity]} ${about}: ${what}`;
  return mend === "" ? line : `${line}\n    → ${mend}`;
}

async function membersOf(dir: string): Promise<readonly SeenMember[]> {
  const { inspectCluster } = await import("@lumeofs/local-cluster");
  return inspectCluster(dir).members.map(({ id, pid }) => ({ id, isRunning: pid !== null }));
}
