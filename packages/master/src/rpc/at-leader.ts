// Calls of operators that only the leader can serve: any master takes them, and passes them on.

import { LumeoError } from "@lumeofs/base";
import { unary } from "@lumeofs/node/rpc";
import type { Replication } from "../consensus/replication.js";
import type { ChannelPool } from "./channel-pool.js";

/** A unary method as the generated code describes it. */
export type Method<Q, A> = Parameters<typeof unary<Q, A>>[1];

export interface Forwardable {
  /** Another master has passed it on: it is not passed on again. */
  readonly forwarded?: boolean | null;
}

export interface Wish<Q, A> {
  /** For the message of a refusal: "change the masters". */
  readonly what: string;
  readonly method: Method<Q, A>;
  readonly request: Q;
  readonly serve: (request: Q) => Promise<A>;
}

const FORWARD_TIMEOUT_MS = 20_000;

/**
 * Serves here, or lets the leader do it.
 *
 * @throws LumeoError NO_LEADER, or NOT_LEADER if the call was passed on already.
 */
export async function atLeader<Q extends Forwardable, A>(
  parts: { readonly replication: Replication; readonly channels: ChannelPool },
  { what, method, request, serve }: Wish<Q, A>,
): Promise<A> {
  const { role, leader, leaderAddress } = parts.replication.status;
  if (role === "leader") return serve(request);
  if (leaderAddress === undefined || request.forwarded === true) {
    const details = leaderAddress === undefined ? {} : { leader: leaderAddress };
    const who = leader === undefined ? "no leader is known" : `the leader is "${leader}"`;
    const code = leaderAddress === undefined ? "NO_LEADER" : "NOT_LEADER";
    throw new LumeoError(code, `Cannot ${what} here: ${who}. Try again`, details);
  }
  const options = { timeoutMs: FORWARD_TIMEOUT_MS };
  return unary(parts.channels.to(leaderAddress), method, { ...request, forwarded: true }, options);
}
