// What first aid finds.

/**
 * "ok": as it should be; "notice": good to know; "warning": works, and something should be done;
 * "critical": does not work, or data are in danger.
 */
export type Severity = "ok" | "notice" | "warning" | "critical";

export interface DoctorFinding {
  readonly severity: Severity;
  /** What was looked at, such as "leader" or "disk". */
  readonly check: string;
  /** Whom it is about: a name, or "" for the cluster. */
  readonly subject: string;
  readonly what: string;
  /** What mends it, a command where there is one; "" if nothing is to be done. */
  readonly mend: string;
}

export function ok(check: string, what: string): DoctorFinding {
  return { severity: "ok", check, subject: "", what, mend: "" };
}
