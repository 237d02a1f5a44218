// Policies and quotas of directories. What a directory does not set itself comes from the nearest
// directory above that does; what none sets is DEFAULT_POLICY.

import { type InodeId, invariant } from "@lumeofs/base";
import { type Refused, refuse } from "./command.js";
import {
  type CodeFallback,
  type CodePolicy,
  NO_POLICY,
  type Policy,
  type Quota,
  recordParent,
  recordPolicy,
} from "./directory-record.js";
import { REPLICAS_MAX } from "./grants.js";
import { inodeKey } from "./keys.js";
import type { StateView } from "./state.js";

/** Earlier contents of one file. */
export const VERSIONS_MAX = 1_000;
/** A hundred years: longer is never, and saying never has its own way. */
export const KEEP_MS_MAX = 100 * 365 * 86_400_000;
/** A record keeps a limit one higher, and that must be a safe integer. */
export const QUOTA_MAX = Number.MAX_SAFE_INTEGER - 1;

/** What holds for the files of a directory. */
export interface EffectivePolicy {
  /** Undefined: whoever writes a file says. */
  readonly replicas: number | undefined;
  readonly versions: number;
  readonly trashMs: number;
  /** 0 means for ever. */
  readonly ttlMs: number;
  /** Undefined: whoever writes a file says. */
  readonly code: CodePolicy | undefined;
  /** 0 means never. */
  readonly codeAfterMs: number;
  readonly codeFallback: CodeFallback;
}

const DEFAULT_POLICY: EffectivePolicy = {
  replicas: undefined,
  versions: 0,
  trashMs: 0,
  ttlMs: 0,
  code: undefined,
  codeAfterMs: 0,
  codeFallback: "refuse",
};

/** The policy for what lies in a directory, by its number. */
export function effectivePolicy(view: StateView, directory: InodeId): EffectivePolicy {
  let policy: Policy | undefined;
  let id: InodeId | undefined = directory;
  while (id !== undefined) {
    const record = view.get(inodeKey(id));
    invariant(record !== undefined, "a directory above is in the table", { id });
    const own = recordPolicy(record);
    policy = policy === undefined || policy === NO_POLICY ? own : orAbove(policy, own);
    id = isComplete(policy) ? undefined : recordParent(record);
  }
  if (policy === NO_POLICY) return DEFAULT_POLICY;
  return {
    replicas: policy?.replicas,
    versions: policy?.versions ?? 0,
    trashMs: policy?.trashMs ?? 0,
    ttlMs: policy?.ttlMs ?? 0,
    code: policy?.code,
    codeAfterMs: policy?.codeAfterMs ?? 0,
    codeFallback: policy?.codeFallback ?? "refuse",
  };
}

/** Why a directory cannot have this policy; INVALID_ARGUMENT with the limit. */
export function refusePolicy(policy: Policy): Refused | undefined {
  const { replicas, versions, trashMs, ttlMs, codeAfterMs } = policy;
  return (
    outside("replicas", replicas, { min: 1, max: REPLICAS_MAX }) ??
    outside("versions", versions, { min: 0, max: VERSIONS_MAX }) ??
    outside("a time in the trash", trashMs, { min: 0, max: KEEP_MS_MAX }) ??
    outside("a time to live", ttlMs, { min: 0, max: KEEP_MS_MAX }) ??
    outside("a time before coding", codeAfterMs, { min: 0, max: KEEP_MS_MAX })
  );
}

/** Why a directory cannot have this quota; INVALID_ARGUMENT with the limit. */
export function refuseQuota(quota: Quota): Refused | undefined {
  return (
    outside("a quota of bytes", quota.sizeBytes, { min: 0, max: QUOTA_MAX }) ??
    outside("a quota of files", quota.files, { min: 0, max: QUOTA_MAX })
  );
}

function orAbove(policy: Policy, above: Policy): Policy {
  return {
    replicas: policy.replicas ?? above.replicas,
    versions: policy.versions ?? above.versions,
    trashMs: policy.trashMs ?? above.trashMs,
    ttlMs: policy.ttlMs ?? above.ttlMs,
    code: policy.code ?? above.code,
    codeAfterMs: policy.codeAfterMs ?? above.codeAfterMs,
    codeFallback: policy.codeFallback ?? above.codeFallback,
  };
}

function isComplete(policy: Policy): boolean {
  const { replicas, versions, trashMs, ttlMs, code, codeAfterMs, codeFallback } = policy;
  const isKept = replicas !== undefined && versions !== undefined && code !== undefined;
  const isTimed = trashMs !== undefined && ttlMs !== undefined && codeAfterMs !== undefined;
  return isKept && isTimed && codeFallback !== undefined;
}

function outside(
  what: string,
  value: number | undefined,
  { min, max }: { readonly min: number; readonly max: number },
): Refused | undefined {
  if (value === undefined || (min <= value && value <= max)) return undefined;
  return refuse("INVALID_ARGUMENT", `Cannot set ${what} to ${value}: ${min} to ${max} can be set`);
}
