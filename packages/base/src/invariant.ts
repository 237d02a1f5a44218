/**
 * A fact about our own code that turned out false. It is never caught to go on: the process ends,
 * because a stopped node is safe and a wrong one is not.
 */
export class InvariantViolation extends Error {
  override readonly name = "InvariantViolation";
  constructor(
    message: string,
    readonly fields: Readonly<Record<string, unknown>> = {},
  ) {
    super(`${message} ${describe(fields)}`.trimEnd());
  }
}

/**
 * States what must hold. Positive, one fact a call.
 *
 * @throws InvariantViolation if `condition` is false; `fields` are shown with it.
 */
export function invariant(
  condition: boolean,
  message: string,
  fields?: Readonly<Record<string, unknown>>,
): asserts condition {
  if (!condition) throw new InvariantViolation(message, fields);
}

/** Closes a switch: a new variant of a union becomes a compile error here. */
export function assertNever(value: never): never {
  throw new InvariantViolation("unexpected variant", { value });
}

function describe(fields: Readonly<Record<string, unknown>>): string {
  const shown = Object.entries(fields).map(([name, value]) => `${name}=${print(value)}`);
  return shown.length === 0 ? "" : `(${shown.join(", ")})`;
}

function print(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
