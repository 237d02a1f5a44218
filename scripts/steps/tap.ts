// What a test runner said in TAP (Test Anything Protocol), as far as ava writes it.

export interface TapReport {
  readonly passed: number;
  readonly failed: number;
  /** Each failed test with its indented explanation. */
  readonly failures: readonly string[];
}

/** Reads a whole TAP stream. Lines that are not TAP (a test's own output) are passed over. */
export function readTap(output: string): TapReport {
  let passed = 0;
  const failures: string[] = [];
  let open: string[] | undefined;
  for (const line of output.split("\n")) {
    const result = /^(not )?ok \d+/.exec(line);
    if (result === null) {
      if (open !== undefined && /^\s/.test(line)) open.push(line);
      continue;
    }
    if (open !== undefined) failures.push(open.join("\n"));
    open = undefined;
    if (result[1] === undefined) passed++;
    else open = [line];
  }
  if (open !== undefined) failures.push(open.join("\n"));
  return { passed, failed: failures.length, failures };
}
