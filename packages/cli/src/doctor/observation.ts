// What first aid looks at: everything is asked, and what does not answer is written down, too.

import { setTimeout as pause } from "node:timers/promises";
import type {
  CallOptions,
  ChunkserverFacts,
  ChunkserverStatus,
  ClusterStatus,
  GrowingChunk,
  JobInfo,
  MasterFacts,
} from "@lumeofs/client";
import type { Client } from "../client.js";
import type { Context } from "../context.js";
import { errorText } from "../error-text.js";

/** An answer, or why there is none. */
export type Asked<T> =
  | { readonly kind: "answered"; readonly value: T }
  | { readonly kind: "failed"; readonly why: string };

export interface SeenMaster {
  /** Its name; its address if nobody knows the name. */
  readonly name: string;
  readonly address: string;
  readonly asked: Asked<MasterFacts>;
}

export interface SeenChunkserver {
  readonly status: ChunkserverStatus;
  readonly control: Asked<ChunkserverFacts>;
  readonly data: Asked<void>;
}

/** A process of a cluster of `lumeo dev`, by its folder. */
export interface SeenMember {
  readonly id: string;
  readonly isRunning: boolean;
}

/** What may have moved since the first look. */
export interface LaterLook {
  readonly term: number;
  readonly jobs: readonly JobInfo[];
}

export interface Observation {
  readonly ownVersion: string;
  readonly nowMs: number;
  readonly status: Asked<ClusterStatus>;
  readonly masters: readonly SeenMaster[];
  readonly chunkservers: readonly SeenChunkserver[];
  /** Chunks to which records are appended. */
  readonly growing: Asked<readonly GrowingChunk[]>;
  readonly later: Asked<LaterLook>;
  /** Undefined unless the folder of a cluster was named. */
  readonly members: readonly SeenMember[] | undefined;
  /** That folder. */
  readonly dir: string | undefined;
}

/** Time between the two looks at what should move or stay. */
const LOOK_AGAIN_MS = 2_000;
const ASK_MS = 5_000;

/** One look at a cluster. */
interface Look {
  readonly context: Context;
  readonly client: Client;
  readonly call: CallOptions;
}

/** Asks everybody. Nothing that does not answer ends it; only Ctrl-C does. */
export async function observe(
  context: Context,
  local: Pick<Observation, "members" | "dir">,
): Promise<Observation> {
  const { signal, clock } = context;
  const { LUMEOFS_VERSION: ownVersion } = await import("@lumeofs/node");
  const client = await context.client();
  const look = { context, client, call: { signal, timeoutMs: ASK_MS, deadlineMs: ASK_MS } };
  const status = await ask(look, () => client.clusterStatus(look.call));
  const known = status.kind === "answered" ? status.value : undefined;
  const [masters, chunkservers, growing, later] = await Promise.all([
    seeMasters(look, known),
    Promise.all((known?.chunkservers ?? []).map((one) => seeChunkserver(look, one))),
    ask(look, () => client.healing.growing(look.call)),
    lookAgain(look),
  ]);
  const nowMs = clock.wallMs();
  return { ownVersion, nowMs, status, masters, chunkservers, growing, later, ...local };
}

/** Those that the cluster names, and those that we were given. */
function seeMasters(look: Look, known: ClusterStatus | undefined): Promise<readonly SeenMaster[]> {
  const listed = (known?.masters ?? []).map(({ id, address }) => ({ name: id, address }));
  const given = look.context.settings.endpoints
    .filter((address) => listed.every((one) => one.address !== address))
    .map((address) => ({ name: address, address }));
  return Promise.all(
    [...listed, ...given].map(async ({ name, address }) => {
      const asked = await ask(look, () => look.client.diagnosis.master(address, look.call));
      const id = asked.kind === "answered" ? asked.value.id : "";
      return { name: id === "" ? name : id, address, asked };
    }),
  );
}

async function seeChunkserver(look: Look, status: ChunkserverStatus): Promise<SeenChunkserver> {
  const { diagnosis } = look.client;
  const [control, data] = await Promise.all([
    ask(look, () => diagnosis.chunkserver(status.controlAddress, look.call)),
    ask(look, () => diagnosis.reach(status.address, look.call)),
  ]);
  return { status, control, data };
}

async function lookAgain(look: Look): Promise<Asked<LaterLook>> {
  const { signal } = look.context;
  await pause(LOOK_AGAIN_MS, undefined, { signal }).catch(() => {}); // said by the next question
  return ask(look, async () => {
    const { term, jobs } = await look.client.clusterStatus(look.call);
    return { term, jobs };
  });
}

async function ask<T>({ context }: Look, question: () => Promise<T>): Promise<Asked<T>> {
  try {
    context.signal.throwIfAborted();
    return { kind: "answered", value: await question() };
  } catch (error) {
    if (context.signal.aborted) throw error;
    return { kind: "failed", why: errorText(error) };
  }
}
