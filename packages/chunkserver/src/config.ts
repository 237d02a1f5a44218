// Every setting of a chunkserver. Defaults < file < environment (LUMEO_CHUNKSERVER_…) < flags.

import { parseArgs } from "node:util";
import { LumeoError, MiB } from "@lumeofs/base";
import { LOG_LEVELS, programHelp, readSettings, wrongFlags } from "@lumeofs/node";
import { z } from "zod";
import { DISKS_MAX } from "./disks/roster.js";

const address = z.string().regex(/^[^\s:]+:\d{1,5}$/, "must be host:port");
const wholeNumber = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

const schema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "must be a short lower-case name")
    .describe("Name for people, such as cs1. Unique in the cluster."),
  dir: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1).max(DISKS_MAX)])
    .describe("Folder of the store; once for each of several disks."),
  retiredDisks: z
    .array(z.string().regex(/^[0-9a-f-]{36}$/, "must be the uuid of a disk"))
    .optional()
    .describe("Uuid of a disk of this server that is gone for good; once for each."),
  listenData: address.default("127.0.0.1:7410").describe("host:port of the data plane."),
  listenControl: address.default("127.0.0.1:7430").describe("host:port of the control service."),
  advertiseHost: z
    .string()
    .optional()
    .describe("Host that others reach this server by, where it is not the one listened on."),
  masters: z
    .string()
    .transform((list) => list.split(",").map((one) => one.trim()))
    .pipe(z.array(address).min(1).max(9))
    .describe("Addresses of the masters, with commas between."),
  labels: z
    .record(z.string(), z.string())
    .default({})
    .describe("Where this server stands, such as rack=r1; once for each label."),
  capacityBytes: wholeNumber(64 * MiB, Number.MAX_SAFE_INTEGER)
    .optional()
    .describe("Use at most this much of the disk. Default: what the file system has."),
  reserveBytes: wholeNumber(0, Number.MAX_SAFE_INTEGER)
    .default(256 * MiB)
    .describe("Leave this much of the disk free: below it no new chunk is taken."),
  inventoryPauseMs: wholeNumber(10, 3_600_000)
    .default(10_000)
    .describe("Pause between two pages of the inventory sent to the leader."),
  compactBytesPerSecond: wholeNumber(0, 100 * 2 ** 30)
    .default(16 * MiB)
    .describe("Living records are moved out of old log segments so fast; 0 for never."),
  scrubBytesPerSecond: wholeNumber(0, 100 * 2 ** 30)
    .default(8 * MiB)
    .describe("Read the replicas again for damage this fast; 0 for never."),
  scrubRoundMs: wholeNumber(0, 365 * 86_400_000)
    .default(3_600_000)
    .describe("From the start of a round over all replicas to that of the next, at least."),
  copiesMax: wholeNumber(1, 64)
    .default(4)
    .describe("Replicas copied to this server at once, and as many audited by it."),
  diskSuspectMs: wholeNumber(1_000, 86_400_000)
    .default(10_000)
    .describe("A disk of which a call takes so long gets no more of them until it returns."),
  diskStuckMs: wholeNumber(2_000, 86_400_000)
    .default(60_000)
    .describe("A disk of which a call takes so long has failed."),
  tailIdleMs: wholeNumber(1_000, 30 * 86_400_000)
    .default(60_000)
    .describe("A growing chunk that nobody appends to for so long is sealed by its primary."),
  tokens: z
    .enum(["on", "off"])
    .default("on")
    .describe("Serve chunks only to who shows a token of the masters; off serves everybody."),
  localReads: z
    .enum(["on", "off"])
    .default("on")
    .describe("Tell clients of this machine where the files of large chunks are: on or off."),
  cacheWrites: z
    .enum(["on", "off"])
    .default("on")
    .describe("Keep new large chunks in the page cache if this is their first copy: on or off."),
  logLevel: z.enum(LOG_LEVELS).default("info").describe("Rarest events that are logged."),
});

export type ChunkserverConfig = Readonly<z.infer<typeof schema>>;

export type Invocation =
  | { readonly kind: "run"; readonly config: ChunkserverConfig }
  | { readonly kind: "help"; readonly text: string };

const ENVIRONMENT_PREFIX = "LUMEO_CHUNKSERVER_";

/** Flags that may be given several times have the name of one. */
const FLAGS_OF_LISTS: Readonly<Record<string, string>> = {
  retiredDisks: "retired-disk",
  labels: "label",
};

const FLAGS = {
  config: { type: "string" },
  name: { type: "string" },
  dir: { type: "string", multiple: true },
  "retired-disk": { type: "string", multiple: true },
  "listen-data": { type: "string" },
  "listen-control": { type: "string" },
  "advertise-host": { type: "string" },
  masters: { type: "string" },
  label: { type: "string", multiple: true },
  "capacity-bytes": { type: "string" },
  "reserve-bytes": { type: "string" },
  "inventory-pause-ms": { type: "string" },
  "compact-bytes-per-second": { type: "string" },
  "scrub-bytes-per-second": { type: "string" },
  "scrub-round-ms": { type: "string" },
  "copies-max": { type: "string" },
  "disk-suspect-ms": { type: "string" },
  "disk-stuck-ms": { type: "string" },
  "tail-idle-ms": { type: "string" },
  tokens: { type: "string" },
  "local-reads": { type: "string" },
  "cache-writes": { type: "string" },
  "log-level": { type: "string" },
} as const;

/**
 * What the program is to do.
 *
 * @throws LumeoError as `readConfig`.
 */
export async function readInvocation(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Invocation> {
  if (argv.includes("--help")) return { kind: "help", text: helpText() };
  return { kind: "run", config: await readConfig(argv, environment) };
}

/**
 * Reads and checks all settings.
 *
 * @throws LumeoError CONFIG naming the setting and what it should be; INVALID_ARGUMENT for flags
 *         that there are not.
 */
export async function readConfig(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<ChunkserverConfig> {
  const flags = parseFlags(argv);
  const settings = await readSettings({
    defaults: Object.fromEntries(Object.keys(schema.shape).map((name) => [name, undefined])),
    file: flags.config,
    environment,
    environmentPrefix: ENVIRONMENT_PREFIX,
    flags: {
      name: flags.name,
      dir: flags.dir?.length === 1 ? flags.dir[0] : flags.dir,
      retiredDisks: flags["retired-disk"],
      listenData: flags["listen-data"],
      listenControl: flags["listen-control"],
      advertiseHost: flags["advertise-host"],
      masters: flags.masters,
      labels: flags.label === undefined ? undefined : parseLabels(flags.label),
      capacityBytes: flags["capacity-bytes"],
      reserveBytes: flags["reserve-bytes"],
      inventoryPauseMs: flags["inventory-pause-ms"],
      compactBytesPerSecond: flags["compact-bytes-per-second"],
      scrubBytesPerSecond: flags["scrub-bytes-per-second"],
      scrubRoundMs: flags["scrub-round-ms"],
      copiesMax: flags["copies-max"],
      diskSuspectMs: flags["disk-suspect-ms"],
      diskStuckMs: flags["disk-stuck-ms"],
      tailIdleMs: flags["tail-idle-ms"],
      tokens: flags.tokens,
      localReads: flags["local-reads"],
      cacheWrites: flags["cache-writes"],
      logLevel: flags["log-level"],
    },
  });
  const parsed = schema.safeParse(settings);
  if (parsed.success) return Object.freeze(parsed.data);
  const faults = parsed.error.issues.map((issue) => `"${issue.path.join(".")}": ${issue.message}`);
  throw new LumeoError("CONFIG", `Cannot use the settings: ${faults.join("; ")}`);
}

function parseFlags(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: FLAGS, allowPositionals: false }).values;
  } catch (cause) {
    throw wrongFlags(cause);
  }
}

function helpText(): string {
  return programHelp({
    about: "A LumeoFS chunkserver: keeps chunks on the disks of one machine.",
    settings: schema.shape,
    flagOf: (name) => FLAGS_OF_LISTS[name] ?? kebab(name),
    environmentPrefix: ENVIRONMENT_PREFIX,
    notInEnvironment: new Set(Object.keys(FLAGS_OF_LISTS)),
  });
}

/** `listenData` → `listen-data`. */
function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function parseLabels(labels: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    labels.map((label) => {
      const [key = "", value] = label.split("=", 2);
      if (key !== "" && value !== undefined) return [key, value];
      throw new LumeoError("CONFIG", `Cannot use label "${label}": it must be key=value`);
    }),
  );
}
