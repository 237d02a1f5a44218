// Advisory locks, for scripts.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants, hostname } from "node:os";
import type { LockInfo } from "@lumeofs/client";
import { parseCount, parseLifetime, UsageError } from "../args.js";
import type { Context } from "../context.js";
import { codeOf, EXIT, type ExitStatus } from "../exit-status.js";
import { formatDuration, printable } from "../format.js";

export interface LockOptions {
  readonly ttl?: string;
  readonly holder?: string;
  readonly token?: string;
}

const TTL_MS_DEFAULT = 30_000;

/** Takes a lock and prints its token. */
export async function lockAcquire(
  context: Context,
  name: string,
  options: LockOptions,
): Promise<ExitStatus> {
  const client = await context.client();
  const lock = await client.locks.acquire(name, { ...context.call, ...chosen(options) });
  await context.output.line(String(lock.token), lockJson(lock));
  return EXIT.ok;
}

/** Lets a lock that is held last from now. */
export async function lockRenew(
  context: Context,
  name: string,
  options: LockOptions,
): Promise<ExitStatus> {
  const client = await context.client();
  const { ttlMs } = chosen(options);
  const lock = await client.locks.renew(fence(name, options), { ...context.call, ttlMs });
  if (context.output.json) context.output.result("", lockJson(lock));
  return EXIT.ok;
}

/** Gives a lock up. */
export async function lockRelease(
  context: Context,
  name: string,
  options: LockOptions,
): Promise<ExitStatus> {
  const client = await context.client();
  await client.locks.release(fence(name, options), context.call);
  if (context.output.json) context.output.result("", { name, released: true });
  return EXIT.ok;
}

/** Shows the locks that are held. */
export async function lockList(context: Context): Promise<ExitStatus> {
  const client = await context.client();
  for await (const lock of client.locks.list(context.call)) {
    const { name, holder, token, remainingMs } = lock;
    const left = formatDuration(remainingMs).padStart(8);
    const who = holder === "" ? "" : `  ${printable(holder)}`;
    const line = `${String(token).padStart(10)}  ${left}  ${printable(name)}${who}`;
    await context.output.line(line, lockJson(lock));
  }
  return EXIT.ok;
}

/**
 * Runs a program while the lock is held; its exit code is the answer. It finds the token in
 * LUMEO_LOCK_TOKEN, and is told to end when the lock is lost.
 */
export async function lockRun(
  context: Context,
  name: string,
  argv: readonly string[],
  options: LockOptions,
): Promise<ExitStatus> {
  const [program, ...args] = argv;
  if (program === undefined) throw new UsageError("Nothing to run: lock run NAME -- PROGRAM ...");
  const client = await context.client();
  const { signal } = context;
  await using lease = await client.locks.lease(name, { signal, ...chosen(options) });
  const environment = { ...process.env, LUMEO_LOCK: name, LUMEO_LOCK_TOKEN: String(lease.token) };
  const child = spawn(program, args, { stdio: "inherit", env: environment });
  const end = (): void => {
    child.kill("SIGTERM");
  };
  lease.lost.addEventListener("abort", end);
  signal.addEventListener("abort", end);
  const [code, ended] = (await once(child, "exit").catch((error: unknown) => {
    throw cannotRun(program, error);
  })) as [number | null, NodeJS.Signals | null];
  if (lease.lost.aborted) context.output.error(lease.lost.reason);
  // As a shell says it: 128 and the number of the signal.
  return (code ?? 128 + constants.signals[ended ?? "SIGTERM"]) as ExitStatus;
}

/** "spawn x ENOENT" is not for people. */
function cannotRun(program: string, error: unknown): Error {
  const code = codeOf(error) ?? "";
  const why = code === "ENOENT" ? "there is no such program" : `it cannot be started (${code})`;
  return Object.assign(new Error(`Cannot run "${program}": ${why}`), { code });
}

function chosen({ ttl, holder }: LockOptions): { readonly ttlMs: number; readonly holder: string } {
  const ttlMs = ttl === undefined ? TTL_MS_DEFAULT : parseLifetime(ttl);
  return { ttlMs, holder: holder ?? whoWeAre() };
}

/** For whoever finds the lock held. */
function whoWeAre(): string {
  const { USER: user } = process.env;
  return user === undefined ? hostname() : `${user}@${hostname()}`;
}

function fence(name: string, { token }: LockOptions): { lock: string; token: number } {
  if (token === undefined) throw new UsageError("--token is missing: acquire has printed it");
  return { lock: name, token: parseCount(token, 1, Number.MAX_SAFE_INTEGER) };
}

function lockJson({ expiresAt, ...lock }: LockInfo): object {
  return { ...lock, expiresAt: expiresAt.toISOString() };
}
