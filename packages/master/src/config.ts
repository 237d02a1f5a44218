// Every setting of a master. Defaults < file < environment (LUMEO_MASTER_…) < flags.

import { parseArgs } from "node:util";
import { GiB, KiB, LumeoError, MiB, type NodeId } from "@lumeofs/base";
import { LOG_LEVELS, programHelp, readSettings, wrongFlags } from "@lumeofs/node";
import { z } from "zod";
import {
  DRIVER_LIMITS_DEFAULT,
  LOG_STORE_DEFAULT,
  LOG_STORES,
  RAFT_OPTIONS_DEFAULT,
  TICK_MS_DEFAULT,
} from "./consensus/config.js";
import { INLINE_BYTES_MAX } from "./metadata/inline-table.js";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
const MASTERS_MAX = 9;
const ENVIRONMENT_PREFIX = "LUMEO_MASTER_";

const address = z.string().regex(/^[^\s:,=]+:\d{1,5}$/, "must be host:port");
const name = z.string().regex(NAME, "must be a short lower-case name");
const wholeNumber = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

const schema = z
  .strictObject({
    id: name.describe("Name of this master, such as m1. Never given to another store again."),
    dir: z.string().min(1).describe("Folder of log, state and snapshots; made if missing."),
    listen: address.default("127.0.0.1:7400").describe("host:port to serve at."),
    peers: z
      .string()
      .optional()
      .describe(
        "The founding masters, this one included: m1=host:port,m2=host:port,… Later, and with " +
          "join, only where masters may be if they have moved.",
      ),
    join: z
      .string()
      .optional()
      .describe("Masters of a group to join, instead of founding one: host:port,host:port,…"),
    advertise: address
      .optional()
      .describe("host:port where others reach this master; by default as in peers, or listen."),
    admin: address.optional().describe("host:port for /healthz, /readyz and /metrics."),
    clusterName: name
      .default("lumeo")
      .describe("Equal on all masters: keeps masters of different clusters apart."),
    tickMs: wholeNumber(5, 1_000).default(TICK_MS_DEFAULT).describe("Unit of Raft's time."),
    electionTicks: wholeNumber(5, 1_000)
      .default(RAFT_OPTIONS_DEFAULT.electionTicks)
      .describe("Silence of the leader before an election; each wait is one to two times this."),
    heartbeatTicks: wholeNumber(1, 100)
      .default(RAFT_OPTIONS_DEFAULT.heartbeatTicks)
      .describe("Between two heartbeats of the leader."),
    logStore: z
      .enum(LOG_STORES)
      .default(LOG_STORE_DEFAULT)
      .describe("What keeps the log; a member keeps the kind that its log was made with."),
    compactEntries: wholeNumber(100, 10_000_000)
      .default(DRIVER_LIMITS_DEFAULT.compactEntries)
      .describe("The log is shortened when it has this many entries more than its tail."),
    tailEntries: wholeNumber(1, 10_000_000)
      .default(DRIVER_LIMITS_DEFAULT.tailEntries)
      .describe("Entries that stay for masters that are a little behind."),
    leaseReads: z
      .enum(["off", "on"])
      .default("off")
      .describe(
        "Leaders may answer lease reads alone: needs clocks that run alike, on all masters.",
      ),
    heartbeatMs: wholeNumber(50, MINUTE)
      .default(SECOND)
      .describe("Pause between heartbeats of a chunkserver."),
    suspectMs: wholeNumber(100, HOUR)
      .default(3 * SECOND)
      .describe("Silence after which a chunkserver gets no new chunks."),
    deadMs: wholeNumber(100, 24 * HOUR)
      .default(10 * SECOND)
      .describe("Silence after which a chunkserver is shown as dead."),
    steadyMs: wholeNumber(0, HOUR)
      .default(10 * SECOND)
      .describe("A chunkserver that was away is back when it was heard without a gap so long."),
    repairAfterMs: wholeNumber(100, 24 * HOUR)
      .default(MINUTE)
      .describe("A chunkserver that is away so long is lost: its copies are made elsewhere."),
    failureDomain: name
      .default("rack")
      .describe("Label of chunkservers that fail together: copies of a chunk are kept apart."),
    healBytesPerSecond: wholeNumber(64 * 1_024, 1_000_000_000_000)
      .default(200 * MiB)
      .describe("Copies that heal or move are read from, and written to, one server so fast."),
    healMovesPerServer: wholeNumber(1, 64)
      .default(4)
      .describe("Copies that one server gives, and takes, at once."),
    convertBytesPerSecond: wholeNumber(64 * 1_024, 1_000_000_000_000)
      .default(100 * MiB)
      .describe("A server that converts chunks between copies and units reads them so fast."),
    convertPerServer: wholeNumber(1, 16)
      .default(2)
      .describe("Chunks that one server converts at once."),
    convertLookMs: wholeNumber(100, 24 * HOUR)
      .default(10 * MINUTE)
      .describe("Pause between two looks for files that policies want to be coded."),
    convertRestMs: wholeNumber(0, 30 * 24 * HOUR)
      .default(HOUR)
      .describe("What was appended to a coded file is coded when nothing came for so long."),
    grantUsableMs: wholeNumber(SECOND, HOUR)
      .default(10 * MINUTE)
      .describe("How long a client may begin to use a grant."),
    grantMs: wholeNumber(SECOND, 24 * HOUR)
      .default(HOUR)
      .describe("Life of a grant; chunks that are in no file or upload by then are deleted."),
    uploadIdleMs: wholeNumber(SECOND, 30 * 24 * HOUR)
      .default(24 * HOUR)
      .describe("An upload that nobody continues ends after this."),
    sessionIdleMs: wholeNumber(SECOND, 30 * 24 * HOUR)
      .default(HOUR)
      .describe("A client's session that is not used ends after this."),
    tokenMs: wholeNumber(SECOND, HOUR)
      .default(10 * MINUTE)
      .describe("Life of a token to read a chunk; its bearer gets a new one when it has ended."),
    tokenKeyMs: wholeNumber(2 * SECOND, 365 * 24 * HOUR)
      .default(24 * HOUR)
      .describe("The key of tokens is replaced when it is so old; the one before stays valid."),
    releasedGraceMs: wholeNumber(0, 30 * 24 * HOUR)
      .default(10 * MINUTE)
      .describe("Chunks of removed files stay this long for those who are reading them."),
    inlineBytes: wholeNumber(0, INLINE_BYTES_MAX)
      .default(4 * KiB)
      .describe("Files of up to so many bytes are kept by the masters themselves; 0 for none."),
    inlineTotal: wholeNumber(0, 1_024 * GiB)
      .default(GiB)
      .describe("At most so many bytes of such files; what comes then is written as chunks."),
    sweepMs: wholeNumber(100, HOUR)
      .default(10 * SECOND)
      .describe("Pause between two looks for what has expired."),
    changeKeepMs: wholeNumber(MINUTE, 365 * 24 * HOUR)
      .default(7 * 24 * HOUR)
      .describe("Changes stay in the feed so long; whoever watches may come back so late."),
    changeKeepRevisions: wholeNumber(1_000, 1_000_000_000)
      .default(1_000_000)
      .describe("Changes further than this behind the newest revision leave the feed earlier."),
    backupBytesPerSecond: wholeNumber(64 * 1_024, 1_000_000_000_000)
      .default(64 * 1_024 * 1_024)
      .describe("A backup reads the metadata no faster than this."),
    checkStateMs: wholeNumber(0, 30 * 24 * HOUR)
      .default(10 * MINUTE)
      .describe("Pause between two comparisons of the masters' states; 0 for none."),
    checkBytesPerSecond: wholeNumber(MiB, 16 * GiB)
      .default(64 * MiB)
      .describe("How fast a master reads its state for a comparison, at most."),
    logLevel: z.enum(LOG_LEVELS).default("info").describe("Rarest events that are logged."),
  })
  .refine((c) => c.heartbeatTicks * 3 <= c.electionTicks, {
    message: "must be at most a third of electionTicks",
    path: ["heartbeatTicks"],
  })
  .refine((c) => c.heartbeatMs * 2 <= c.suspectMs, {
    message: "must be at least two heartbeatMs",
    path: ["suspectMs"],
  })
  .refine((c) => c.suspectMs <= c.deadMs, {
    message: "must be at least suspectMs",
    path: ["deadMs"],
  })
  .refine((c) => c.deadMs <= c.repairAfterMs, {
    message: "must be at least deadMs",
    path: ["repairAfterMs"],
  })
  .refine((c) => 2 * Math.max(c.tokenMs, c.grantUsableMs) <= c.tokenKeyMs, {
    message: "must be at least twice tokenMs and twice grantUsableMs",
    path: ["tokenKeyMs"],
  })
  .refine((c) => c.grantUsableMs * 2 <= c.grantMs, {
    message: "must be at least twice grantUsableMs",
    path: ["grantMs"],
  });

type Settings = z.infer<typeof schema>;

export interface MasterConfig
  extends Readonly<Omit<Settings, "id" | "peers" | "join" | "advertise">> {
  readonly id: NodeId;
  /** The founding masters, this one included; none if this one joins a group. */
  readonly founders: Readonly<Record<NodeId, string>>;
  /** Where masters may be if they are not where the group says, this one included. */
  readonly hints: Readonly<Record<NodeId, string>>;
  /** Masters of the group to join. */
  readonly join: readonly string[];
  /** host:port where others reach this master; empty if only the group can know. */
  readonly address: string;
}

export type Invocation =
  | { readonly kind: "run"; readonly config: MasterConfig }
  | { readonly kind: "help"; readonly text: string };

/**
 * Reads and checks all settings.
 *
 * @throws LumeoError CONFIG naming the setting and what it should be; INVALID_ARGUMENT for flags
 *         that there are not.
 */
export async function readConfig(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Invocation> {
  const { config, help, ...flags } = parseFlags(argv);
  if (help === true) return { kind: "help", text: helpText() };
  const settings = await readSettings({
    defaults: Object.fromEntries(Object.keys(schema.shape).map((key) => [key, undefined])),
    file: typeof config === "string" ? config : undefined,
    environment,
    environmentPrefix: ENVIRONMENT_PREFIX,
    flags: Object.fromEntries(Object.keys(schema.shape).map((key) => [key, flags[kebab(key)]])),
  });
  return { kind: "run", config: checkSettings(settings) };
}

/** @throws LumeoError CONFIG */
export function checkSettings(settings: Readonly<Record<string, unknown>>): MasterConfig {
  const parsed = schema.safeParse(settings);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(
      (issue) => `"${issue.path.join(".")}": ${issue.message}`,
    );
    throw new LumeoError("CONFIG", `Cannot use the settings: ${faults.join("; ")}`);
  }
  const { id, peers, join, advertise, ...rest } = parsed.data;
  const own = advertise ?? (isEverywhere(rest.listen) ? "" : rest.listen);
  const hints = parsePeers(id, peers ?? `${id}=${own === "" ? rest.listen : own}`);
  return Object.freeze({
    ...rest,
    id: id as NodeId,
    founders: join === undefined ? hints : {},
    hints,
    join: parseJoin(join),
    address: advertise ?? (peers === undefined ? own : (hints[id as NodeId] ?? own)),
  });
}

/** Bound to all interfaces, an address says nothing about where others find it. */
function isEverywhere(listen: string): boolean {
  return listen.startsWith("0.0.0.0:") || listen.startsWith("[::]:");
}

function parseJoin(text: string | undefined): readonly string[] {
  const addresses = text?.split(",").map((one) => one.trim()) ?? [];
  const wrong = addresses.find((one) => !address.safeParse(one).success);
  if (wrong === undefined) return addresses;
  throw new LumeoError("CONFIG", `Cannot join "${wrong}": it must be host:port`);
}

function parsePeers(id: string, text: string): Readonly<Record<NodeId, string>> {
  const pairs = text.split(",").map((pair) => {
    const [peer = "", at = "", ...more] = pair.trim().split("=");
    if (NAME.test(peer) && address.safeParse(at).success && more.length === 0) {
      return [peer as NodeId, at] as const;
    }
    throw new LumeoError("CONFIG", `Cannot use peer "${pair}": it must be name=host:port`);
  });
  const members = Object.fromEntries(pairs) as Readonly<Record<NodeId, string>>;
  if (Object.keys(members).length !== pairs.length) {
    throw new LumeoError("CONFIG", `Cannot use peers "${text}": a name is there twice`);
  }
  if (MASTERS_MAX < pairs.length) {
    throw new LumeoError("CONFIG", `Cannot use ${pairs.length} masters: at most ${MASTERS_MAX}`);
  }
  if (!Object.hasOwn(members, id)) {
    throw new LumeoError("CONFIG", `Cannot start master "${id}": it is none of the peers ${text}`);
  }
  return members;
}

type Flags = Readonly<Record<string, string | boolean | undefined>>;

function parseFlags(argv: readonly string[]): Flags {
  const text = { type: "string" } as const;
  const settings = Object.keys(schema.shape).map((key) => [kebab(key), text] as const);
  const help = { type: "boolean" } as const;
  const options = { ...Object.fromEntries(settings), config: text, help };
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: false }).values as Flags;
  } catch (cause) {
    throw wrongFlags(cause);
  }
}

function helpText(): string {
  return programHelp({
    about: "A LumeoFS master: names, files and the whereabouts of every chunk.",
    settings: schema.shape,
    flagOf: kebab,
    environmentPrefix: ENVIRONMENT_PREFIX,
  });
}

/** `electionTicks` → `election-ticks`. */
function kebab(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
