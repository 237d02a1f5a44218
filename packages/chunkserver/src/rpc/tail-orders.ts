// Orders of the leading master about growing chunks, over gRPC.

import {
  type ActiveSet,
  type Epoch,
  type Instant,
  LEASE_TERMS,
  LumeoError,
  type ServerId,
  serverId,
} from "@lumeofs/base";
import { type ChainLink, parseAddress } from "@lumeofs/node/frames";
import { type RpcMethod, serveUnary } from "@lumeofs/node/rpc";
import { lumeo, TailOrderService } from "@lumeofs/proto";
import { isWitness } from "../replication/replica.js";
import type { EpochOrder } from "../tail/epoch-order.js";
import type { TailPrimaries } from "../tail/tail-primaries.js";
import type { TailPrimary } from "../tail/tail-primary.js";
import type { TailStore } from "../tail/tail-store.js";
import { decodeEpoch, decodeHandle } from "./replica-orders.js";

/** Members of one chunk. */
const MEMBERS_MAX = 8;

export interface TailOrdersContext {
  readonly storeUuid: string;
  readonly serverId: () => ServerId | undefined;
  /** Asked anew for each order: they may begin anew on another disk. */
  readonly tails: { readonly store: TailStore; readonly primaries: TailPrimaries };
  readonly now: () => Instant;
}

export function tailOrderService(context: TailOrdersContext): readonly RpcMethod[] {
  const { tails } = context;
  const { EpochStanding } = lumeo.chunkserver.v1;
  return [
    serveUnary(TailOrderService.beginEpoch, async (request) => {
      checkStore(context, request.storeUuid, "begin an epoch");
      const isBegun = tails.primaries.begin(decodeOrder(request, context.serverId())) === "begun";
      const { EPOCH_STANDING_BEGUN, EPOCH_STANDING_ENDED } = EpochStanding;
      return { standing: isBegun ? EPOCH_STANDING_BEGUN : EPOCH_STANDING_ENDED };
    }),
    serveUnary(TailOrderService.sealTail, async (request) => {
      checkStore(context, request.storeUuid, "seal");
      const [handle, epoch] = [decodeHandle(request.handle ?? 0), decodeEpoch(request.epoch ?? 0)];
      return { sealed: await tails.primaries.seal(handle, epoch) };
    }),
    serveUnary(TailOrderService.removeTail, async (request) => {
      checkStore(context, request.storeUuid, "remove a growing chunk");
      const [handle, epoch] = [decodeHandle(request.handle ?? 0), decodeEpoch(request.epoch ?? 0)];
      return { removed: (await tails.store.remove(handle, epoch)) === "removed" };
    }),
    serveUnary(TailOrderService.describeTail, async (request) => {
      const handle = decodeHandle(request.handle ?? 0);
      const replica = tails.store.find(handle);
      if (replica === undefined) {
        throw new LumeoError("REPLICA_MISSING", `Chunk ${handle} does not grow here`);
      }
      const { promised, history, commitSeq } = replica.state;
      const primary = tails.primaries.find(handle);
      return {
        promisedEpoch: promised,
        lastEpoch: history.last.epoch,
        lastSeq: history.last.seq,
        committedSeq: commitSeq,
        committedBytes: primary?.committedBytes ?? history.endOf(commitSeq),
        damaged: replica.isInDoubt || !isWitness(replica.state),
        stage: primary?.stage ?? "",
        leaseLeftMs: leaseLeftMs(primary, context.now()),
      };
    }),
  ];
}

function leaseLeftMs(primary: TailPrimary | undefined, now: Instant): number {
  if (primary?.lease === undefined || !primary.isLeased) return 0;
  const { lengthMs, drift, slackMs } = LEASE_TERMS;
  const endsAt = primary.lease.askedAt.monotonicMs + lengthMs * (1 - drift) - slackMs;
  return Math.max(0, Math.floor(endsAt - now.monotonicMs));
}

/** @throws LumeoError INVALID_ARGUMENT; CONFLICT if another server is meant. */
function decodeOrder(
  request: lumeo.chunkserver.v1.IBeginEpochRequest,
  self: ServerId | undefined,
): EpochOrder {
  const members = decodeMembers(request.members ?? []);
  const before = decodeMembers(request.previousMembers ?? []);
  const [primary] = members;
  if (primary === undefined) throw invalid("an epoch has members");
  if (primary.server !== self) {
    const message = `Cannot begin an epoch: server ${primary.server} is meant, not ${self}`;
    throw new LumeoError("CONFLICT", message);
  }
  const numbers = members.map(({ server }) => server);
  const grant = {
    epoch: decodeEpoch(request.epoch ?? 0),
    primary: primary.server,
    members: numbers,
    previous: previousOf(request.previousEpoch ?? 0, before),
  };
  const { token } = request;
  return {
    handle: decodeHandle(request.handle ?? 0),
    grant,
    members: new Map([...before, ...members].map((link) => [link.server, link])),
    token: token === null || token === undefined || token.byteLength === 0 ? undefined : token,
  };
}

function previousOf(number: number, members: readonly ChainLink[]): ActiveSet | undefined {
  if (number === 0) return undefined;
  if (members.length === 0) throw invalid("the set that was active last has members");
  const epoch: Epoch = decodeEpoch(number);
  return { epoch, members: members.map(({ server }) => server) };
}

function decodeMembers(
  holders: readonly lumeo.chunkserver.v1.IReplicaHolder[],
): readonly ChainLink[] {
  if (MEMBERS_MAX < holders.length) throw invalid(`at most ${MEMBERS_MAX} members`);
  const links = holders.map(({ serverId: number, dataAddress }) => {
    if (!Number.isSafeInteger(number) || (number ?? 0) < 1) throw invalid(`server ${number}`);
    const address = dataAddress ?? "";
    parseAddress(address);
    return { server: serverId(number ?? 0), address };
  });
  const isTwice = new Set(links.map(({ server }) => server)).size < links.length;
  if (isTwice) throw invalid("a member stands twice");
  return links;
}

function checkStore(
  { storeUuid }: TailOrdersContext,
  meant: string | null | undefined,
  what: string,
): void {
  if (meant === storeUuid) return;
  const who = `the order is for store "${meant}", this is "${storeUuid}"`;
  throw new LumeoError("CONFLICT", `Cannot ${what}: ${who}`);
}

function invalid(why: string): LumeoError {
  return new LumeoError("INVALID_ARGUMENT", `Cannot obey the order: ${why}`);
}
