// What a command needs to run in a test: a fake cluster, captured output, a temporary folder.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Writable } from "node:stream";
import { SystemClock } from "@lumeofs/node";
import type { ExecutionContext } from "ava";
import type { Client } from "../src/client.js";
import type { Context } from "../src/context.js";
import { Output } from "../src/output.js";
import { type RawSettings, resolveSettings } from "../src/settings.js";
import { FakeClient, type FakedClient } from "./fake-client.js";

export class Stage {
  readonly client = new FakeClient();
  readonly dir = mkdtempSync(join(tmpdir(), "lumeo-cli-"));
  readonly abort = new AbortController();
  readonly #stdout: string[] = [];
  readonly #stderr: string[] = [];

  constructor(t: ExecutionContext) {
    t.teardown(() => rmSync(this.dir, { recursive: true, force: true }));
  }

  get stdout(): string {
    return this.#stdout.join("");
  }

  get stderr(): string {
    return this.#stderr.join("");
  }

  /** Lines of `--json` output. */
  get objects(): readonly Record<string, unknown>[] {
    return this.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  context(raw: RawSettings = {}, stdin: AsyncIterable<Uint8Array> = empty()): Context {
    const settings = resolveSettings(raw, {
      environment: {},
      stdoutIsTty: false,
      stderrIsTty: false,
    });
    const streams = { stdout: capture(this.#stdout), stderr: capture(this.#stderr) };
    return {
      settings,
      output: new Output(streams, settings),
      signal: this.abort.signal,
      clock: new SystemClock(),
      call: { signal: this.abort.signal },
      stdin,
      // Commands that need more are tested with real masters.
      client: () => Promise.resolve(this.client as FakedClient as Client),
    };
  }

  /** A local path in the temporary folder. */
  at(...names: readonly string[]): string {
    return join(this.dir, ...names);
  }

  /** Makes a local file. */
  file(name: string, content = "content"): string {
    const path = this.at(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  /** Text of a file in the cluster; undefined if it is not there or a directory. */
  remote(path: string): string | undefined {
    const found = this.client.tree.get(path);
    return found === undefined || found === "dir" ? undefined : Buffer.from(found).toString();
  }

  setRemote(path: string, content: string): void {
    this.client.tree.set(path, Buffer.from(content));
  }
}

function capture(into: string[]): Writable {
  return new Writable({
    write(data: Buffer, _encoding, done) {
      into.push(data.toString());
      done();
    },
  });
}

async function* empty(): AsyncGenerator<Uint8Array> {}
