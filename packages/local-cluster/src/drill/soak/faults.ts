// What went wrong in a soak and when, and who suffers now: nobody suffers twice at a time.

export interface Fault {
  /** Such as "kill" or "disk lost". */
  readonly kind: string;
  readonly target: string;
  readonly wasLeader: boolean;
  readonly beganMs: number;
  endedMs: number | undefined;
}

export class Faults {
  readonly all: Fault[] = [];
  readonly #suffering = new Set<string>();
  readonly #elapsedMs: () => number;

  constructor(elapsedMs: () => number) {
    this.#elapsedMs = elapsedMs;
  }

  /** Faults under way, such as "kill m1 (leader)". */
  get underWay(): string {
    const now = this.all.filter(({ endedMs }) => endedMs === undefined);
    return now
      .map(({ kind, target, wasLeader }) => `${kind} ${target}${wasLeader ? " (leader)" : ""}`)
      .join(", ");
  }

  isSuffering(id: string): boolean {
    return this.#suffering.has(id);
  }

  /** Takes a member for one fault, which ends when `act` does. */
  async during(
    fault: Pick<Fault, "kind" | "target"> & { readonly wasLeader?: boolean },
    act: () => Promise<void>,
  ): Promise<void> {
    const { kind, target, wasLeader = false } = fault;
    const noted: Fault = {
      ...{ kind, target, wasLeader },
      beganMs: this.#elapsedMs(),
      endedMs: undefined,
    };
    this.all.push(noted);
    this.#suffering.add(target);
    try {
      await act();
    } finally {
      this.#suffering.delete(target);
      noted.endedMs = this.#elapsedMs();
    }
  }
}
