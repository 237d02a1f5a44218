// A machine: what outlives its processes (disk, databases, the speed of its clock), and the process
// that runs on it for a while.

import {
  type Disk,
  InvariantViolation,
  integerBetween,
  type LogFields,
  type Logger,
  LumeoError,
  type SeededRandom,
} from "@lumeofs/base";
import {
  type CrashLoss,
  type DiskCall,
  type DiskFault,
  Lifetime,
  SimClock,
  SimDisk,
  type World,
} from "@lumeofs/testkit";
import type { ServedBytes } from "../checks/served-bytes.js";
import type { RpcLetter } from "../network/rpc-letter.js";
import { SimRpc } from "../network/sim-rpc.js";
import { SimSockets } from "../network/sim-sockets.js";
import type { Links, Wires } from "../network/wires.js";
import type { ClusterOptions } from "../options.js";

/** What all machines of a world share. */
export interface Surroundings {
  readonly world: World;
  readonly links: Links;
  readonly calls: Wires<RpcLetter>;
  readonly bytes: Wires<Buffer>;
  readonly options: ClusterOptions;
  readonly served: ServedBytes;
  /** Faults of disks and doubled calls; off when everything heals. */
  readonly mayFail: () => boolean;
  readonly isClient: (machine: string) => boolean;
  /** A line of a log that no healthy product writes. */
  readonly alarmed: (machine: string, message: string, fields: LogFields | undefined) => void;
}

/** One run of a process. */
export interface Run {
  readonly lifetime: Lifetime;
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly rpc: SimRpc;
  readonly sockets: SimSockets;
  readonly logger: Logger;
  /** Writes of databases that are under way. */
  readonly landing: Set<() => void>;
  /** Calls back once, when the process has ended for whatever reason. */
  whenEnded(told: () => void): void;
}

const RESTART_MS_MAX = 600;
/** Now and then it takes so long that its copies are made elsewhere. */
const OUTAGE_MS_MAX = 9_000;
const OUTAGE_SHARE = 0.2;

export abstract class Machine {
  readonly disks: readonly SimDisk[];
  /** Ends of processes that were not wished for, of whatever kind. */
  crashes = 0;
  /** Of the disk: what its next calls do. */
  slowFactor = 1;
  fullUntil = 0;
  #failNextCall = false;
  /** By disk: when its calls return again that do not now. */
  readonly #hanging = new Map<number, { readonly over: Promise<void>; readonly end: () => void }>();
  #run: Run | undefined;
  #isRetired = false;
  #suspendedAt: number | undefined;
  #runs = 0;
  #tellEnd: () => void = () => {};
  readonly #clockRate: number;
  readonly #wireRandom: SeededRandom;
  protected readonly around: Surroundings;
  protected readonly random: SeededRandom;

  constructor(
    readonly name: string,
    around: Surroundings,
    diskCount = 1,
  ) {
    this.around = around;
    const { world, options } = around;
    this.random = world.random(`machine ${name}`);
    this.#clockRate = 1 + options.clockDrift * (2 * this.random.fraction() - 1);
    this.#wireRandom = world.random(`corrupt ${name}`);
    this.disks = Array.from({ length: diskCount }, (_, number) => this.#newDisk(number));
  }

  /** The only disk, or the first one. */
  get disk(): SimDisk {
    return this.disks[0] as SimDisk;
  }

  get isUp(): boolean {
    return this.#run !== undefined;
  }

  get isPaused(): boolean {
    return this.#run?.lifetime.isPaused ?? false;
  }

  get run(): Run | undefined {
    return this.#run;
  }

  /** Starts the process; it is started again whenever it has ended. */
  start(): void {
    if (this.isUp || this.#isRetired) return;
    const { world, links, calls, bytes } = this.around;
    links.power(this.name, true);
    this.#runs++;
    const lifetime = new Lifetime(world);
    const clock = new SimClock(world, lifetime, { rate: this.#clockRate });
    const random = world.random(`${this.name} run ${this.#runs}`);
    const endpoint = { machine: this.name, lifetime };
    const broken = (error: unknown): void => world.fail(error);
    const muting = random.fork("muting");
    const ends: (() => void)[] = [];
    this.#tellEnd = () => {
      for (const told of ends.splice(0)) told();
    };
    const run: Run = {
      lifetime,
      clock,
      random,
      rpc: new SimRpc({
        ...{ wires: calls, endpoint, timers: clock, broken },
        random: random.fork("echo"),
        echoShare: () => (this.around.mayFail() ? this.around.options.echoShare : 0),
        isMuted: (peer) => this.#isMuted(peer, muting),
      }),
      sockets: new SimSockets({
        ...{ wires: bytes, endpoint, timers: clock },
        tap: () => this.around.served.tap(this.name),
        corrupt: (sent) => this.#corrupt(sent),
      }),
      logger: this.#logger({}),
      landing: new Set(),
      whenEnded: (told) => ends.push(told),
    };
    this.#run = run;
    this.record(() => "starts");
    this.launch(run).catch((error: unknown) => this.failed(run, error));
  }

  /** The process is killed: the kernel keeps what it was given. */
  kill(): void {
    this.#end("kill", undefined);
  }

  /** The power fails; nobody is told. */
  losePower(loss: CrashLoss = "some"): void {
    this.#end("power", loss);
  }

  pause(): void {
    this.#run?.lifetime.pause();
  }

  /** Like a pause, and its monotonic clock stands still. */
  suspend(): void {
    if (this.isPaused) return;
    this.#suspendedAt = this.around.world.now;
    this.pause();
  }

  resume(): void {
    if (!this.isPaused || this.#run === undefined) return;
    const { clock, lifetime } = this.#run;
    const since = this.#suspendedAt ?? this.around.world.now;
    this.#suspendedAt = undefined;
    if (since < this.around.world.now) clock.jumpMonotonic(since - this.around.world.now);
    lifetime.resume();
  }

  /** It is not to be used any more. */
  retire(): void {
    this.#isRetired = true;
    this.kill();
  }

  get isRetired(): boolean {
    return this.#isRetired;
  }

  /** One of the next calls of the disk fails. */
  failDisk(): void {
    this.#failNextCall = true;
  }

  /** From now on no call of a disk returns, until `letGo`, or until the process has ended. */
  hang(disk = 0): void {
    if (!this.isUp || this.#hanging.has(disk)) return;
    this.record(() => `disk ${disk} hangs`);
    let end = (): void => {};
    const over = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#hanging.set(disk, { over, end });
    this.disks[disk]?.stall(over);
  }

  letGo(): void {
    for (const { end } of this.#hanging.values()) end();
    this.#unhang();
  }

  jumpWall(byMs: number): void {
    this.#run?.clock.jumpWall(byMs);
  }

  /** As long as the process lives, its monotonic clock is so far ahead. */
  jumpMonotonic(byMs: number): void {
    this.#run?.clock.jumpMonotonic(byMs);
  }

  /** Its clocks run so many times as fast as they are meant to, until `calm`. */
  warp(factor: number): void {
    this.#run?.clock.setRate(this.#clockRate * factor);
  }

  calm(): void {
    this.warp(1);
  }

  record(line: () => string): void {
    this.around.world.record(() => `${this.name} ${line()}`);
  }

  /** Starts the product on this machine. */
  protected abstract launch(run: Run): Promise<void>;

  /** The process ends by itself. */
  protected failed(run: Run, error: unknown): void {
    if (run !== this.#run) return;
    this.record(() => `ends: ${error instanceof Error ? error.message : String(error)}`);
    if (error instanceof InvariantViolation || !(error instanceof LumeoError)) {
      this.around.world.fail(error);
    }
    this.kill();
  }

  /** For databases: a write takes its time and lands at one moment, also when the process dies. */
  protected async land(run: Run, land: () => void, disk = 0): Promise<void> {
    await this.#hanging.get(disk)?.over;
    const { world, options } = this.around;
    if (run.lifetime.hasEnded) return new Promise(() => {});
    const { diskMsMin, diskMsMean } = options;
    const ms = diskMsMin - Math.log(1 - this.random.fraction()) * diskMsMean;
    run.landing.add(land);
    return new Promise((resolve) => {
      world.after(ms * this.slowFactor, () => {
        if (!run.landing.delete(land)) return;
        land();
        run.lifetime.deliver(resolve);
      });
    });
  }

  protected mount(): Disk {
    return this.disk.mount();
  }

  /** What befalls a call of one of the disks, beside what befalls all of them. */
  protected diskFault(_disk: number): DiskFault | undefined {
    return undefined;
  }

  /** What befalls a call of a database. */
  protected diskFaultOf(kind: "read" | "write", random: SeededRandom): DiskFault | undefined {
    return this.#faultOf({ kind, path: "", number: 0 }, random);
  }

  #newDisk(number: number): SimDisk {
    const { world, options } = this.around;
    const random = world.random(number === 0 ? `disk ${this.name}` : `disk ${this.name} ${number}`);
    return new SimDisk({
      random,
      latencyMs: { min: options.diskMsMin, mean: options.diskMsMean },
      timers: {
        after: (ms, wake) => world.after(ms * this.slowFactor, () => this.#deliver(wake)),
        every: (ms, wake) => world.after(ms, wake),
      },
      totalBytes: options.diskBytes,
      faultOf: (call) => this.diskFault(number) ?? this.#faultOf(call, random),
    });
  }

  #end(how: "kill" | "power", loss: CrashLoss | undefined): void {
    const run = this.#run;
    const { world, links, calls, bytes } = this.around;
    if (how === "power") links.power(this.name, false);
    if (run !== undefined) {
      this.record(() => (how === "kill" ? "is killed" : `loses power (${loss})`));
      this.#run = undefined;
      this.crashes++;
      run.lifetime.end();
      calls.died(run.lifetime, how === "power");
      bytes.died(run.lifetime, how === "power");
      for (const land of run.landing) if (this.random.fraction() < 0.5) land();
      run.landing.clear();
      this.#tellEnd();
    }
    this.#suspendedAt = undefined;
    for (const disk of this.disks) {
      if (how === "power") disk.crash(loss ?? "some");
      else disk.kill();
    }
    this.#unhang();
    if (this.#isRetired) return;
    const isLong = this.random.fraction() < OUTAGE_SHARE && this.around.mayFail();
    const longest = isLong ? OUTAGE_MS_MAX : RESTART_MS_MAX;
    world.after(this.random.fraction() * longest, () => this.start());
  }

  /** What waits for a disk that hangs is not told: it may belong to a process that has ended. */
  #unhang(): void {
    for (const disk of this.#hanging.keys()) this.disks[disk]?.stall(Promise.resolve());
    this.#hanging.clear();
  }

  #deliver(wake: () => void): void {
    if (this.#run === undefined) return;
    this.#run.lifetime.deliver(wake);
  }

  /** Whether the connection ends here, instead of carrying an answer to a client. */
  #isMuted(peer: string, random: SeededRandom): boolean {
    const { options, mayFail, isClient } = this.around;
    return random.fraction() < options.mutedShare && mayFail() && isClient(peer);
  }

  #corrupt(bytes: Buffer): void {
    const { options } = this.around;
    if (options.corruptRate <= this.#wireRandom.fraction() || !this.around.mayFail()) return;
    const at = integerBetween(this.#wireRandom, 0, bytes.byteLength - 1);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << integerBetween(this.#wireRandom, 0, 7));
  }

  #faultOf({ kind }: DiskCall, random: SeededRandom): DiskFault | undefined {
    const chance = random.fraction();
    // Of several disks one fails, in ways of its own.
    if (!this.around.mayFail() || 1 < this.disks.length) return undefined;
    if (kind === "write" && this.#isFull) return "ENOSPC";
    if (this.#failNextCall && chance < 0.2) {
      this.#failNextCall = false;
      return kind === "sync" ? "EIO" : chance < 0.1 ? "EIO" : "short";
    }
    return chance < this.around.options.diskFailureRate ? "EIO" : undefined;
  }

  get #isFull(): boolean {
    return this.around.world.now < this.fullUntil;
  }

  #logger(fixed: LogFields): Logger {
    const { world } = this.around;
    const log =
      (level: string) =>
      (message: string, fields?: LogFields): void => {
        if (level === "error") this.around.alarmed(this.name, message, fields);
        world.record(() => `${this.name} ${level}: ${message} ${printed({ ...fixed, ...fields })}`);
      };
    return {
      error: log("error"),
      warn: log("warn"),
      info: log("info"),
      debug: log("debug"),
      child: (more) => this.#logger({ ...fixed, ...more }),
    };
  }
}

function printed(fields: LogFields): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${value instanceof Error ? value.message : String(value)}`)
    .join(" ");
}
