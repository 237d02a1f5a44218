// All workloads by name: each seed draws some of them.

import { BankWorkload } from "./bank.js";
import { IdsWorkload } from "./ids.js";
import { ListsWorkload } from "./lists.js";
import { LocksWorkload } from "./locks.js";
import { NamespaceWorkload } from "./namespace.js";
import { RegisterWorkload } from "./register.js";
import { SetWorkload } from "./set.js";
import type { Workload, WorkloadParts } from "./workload.js";

type MakeWorkload = new (parts: WorkloadParts) => Workload;

export const WORKLOADS = {
  namespace: NamespaceWorkload,
  register: RegisterWorkload,
  bank: BankWorkload,
  lists: ListsWorkload,
  ids: IdsWorkload,
  locks: LocksWorkload,
  set: SetWorkload,
} as const satisfies Record<string, MakeWorkload>;

export type WorkloadName = keyof typeof WORKLOADS;

export const WORKLOAD_NAMES = Object.keys(WORKLOADS) as readonly WorkloadName[];
