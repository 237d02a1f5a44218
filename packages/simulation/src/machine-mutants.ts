// Deliberate bugs that only show where machines lose disks or what is on them, stand still or have
// clocks that err, or where programs change files in place.

import type { Mutant } from "./mutants.js";

const SEEDS_MAX = 30;

export const MACHINE_MUTANTS: readonly Mutant[] = [
  {
    name: "a chunkserver ends with the first of its disks",
    patches: {
      chunkserver: [
        {
          file: "disks/disk-set",
          find: "if (this.#serving.length === 0)\n            return onFailure(error);",
          replace: "return onFailure(error);",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "disks",
  },
  {
    name: "nobody is told what was on a lost disk",
    patches: {
      chunkserver: [
        {
          file: "disks/chunk-disks",
          find: "for (const handle of missing)\n",
          replace: "for (const handle of [])\n",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "disks",
  },
  {
    name: "what was cut off an open file comes back when it grows",
    patches: {
      client: [
        {
          file: "file/lumeo-file",
          find: "this.#baseEnd = Math.min(this.#baseEnd, sizeBytes);",
          replace: "",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "editors",
  },
  {
    name: "the roll is called, and nobody is told who is missing",
    patches: {
      chunkserver: [{ file: "disks/roll-call", find: "this.#tell(page,", replace: "void (page," }],
    },
    seedsMax: SEEDS_MAX,
    lens: "silent",
  },
  {
    name: "a disk whose calls do not return is waited for",
    patches: {
      chunkserver: [
        { file: "disks/disk-watch", find: "if (stuckMs <= openMs)", replace: "if (openMs < 0)" },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "silent",
  },
  {
    name: "a primary that was suspended trusts the clock that stood still",
    patches: {
      chunkserver: [
        {
          file: "tail/tail-primary",
          find: "return isHeld(terms, this.#lease, this.order.grant.epoch, now());",
          replace:
            "return isHeld(terms, this.#lease, this.order.grant.epoch, " +
            "alike(this.#lease, now()));",
        },
        {
          file: "tail/tail-primary",
          find: "return mayEndRead(view, this.#state, lease, this.#ports.now());",
          replace:
            "return mayEndRead(view, this.#state, lease, alike(this.#lease, this.#ports.now()));",
        },
        {
          file: "tail/tail-primary",
          find: "export class TailPrimary {",
          // The calendar says what the monotonic clock does.
          replace:
            "function alike(held, { monotonicMs }) {\n" +
            "    const { askedAt } = held ?? { askedAt: { wallMs: 0, monotonicMs: 0 } };\n" +
            "    const wallMs = askedAt.wallMs + monotonicMs - askedAt.monotonicMs;\n" +
            "    return { monotonicMs, wallMs };\n" +
            "}\n" +
            "export class TailPrimary {",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "suspended",
  },
];
