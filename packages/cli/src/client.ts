import type { Lumeo } from "@lumeofs/client";

/** The part of the SDK that the commands use, so that tests can put a fake in its place. */
export type Client = Pick<
  Lumeo,
  | "put"
  | "append"
  | "open"
  | "get"
  | "stat"
  | "list"
  | "mkdir"
  | "rename"
  | "remove"
  | "copy"
  | "setAttributes"
  | "setPolicy"
  | "effectivePolicy"
  | "setQuota"
  | "trash"
  | "versions"
  | "snapshots"
  | "locks"
  | "watch"
  | "masters"
  | "healing"
  | "audits"
  | "diagnosis"
  | "clusterStatus"
  | "close"
>;
