import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { AdminService } from "@lumeofs/proto";
import test, { type ExecutionContext } from "ava";
import { EXIT } from "../../src/index.js";
import { RpcChannel, unary } from "../../src/rpc/index.js";

const PROGRAM = fileURLToPath(new URL("../program/service.js", import.meta.url));

class Service {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #ended: Promise<[code: number | null]>;
  log = "";

  constructor(t: ExecutionContext, ...args: readonly string[]) {
    const stdio = ["ignore", "pipe", "pipe"] as const;
    this.#child = spawn(process.execPath, [PROGRAM, ...args], { stdio: [...stdio] });
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.log += text;
    });
    this.#ended = once(this.#child, "close") as Promise<[number | null]>;
    t.teardown(() => this.#child.kill("SIGKILL"));
  }

  /** Where it serves. */
  async address(): Promise<string> {
    const [line] = (await once(this.#child.stdout.setEncoding("utf8"), "data")) as [string];
    return line.trim();
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async exitCode(): Promise<number | null> {
    const [code] = await this.#ended;
    return code;
  }
}

test("a server ends with 0 after SIGTERM, while a client is connected", async (t) => {
  const service = new Service(t);
  const channel = new RpcChannel(await service.address());
  t.teardown(() => channel.close());
  const answer = await unary(channel, AdminService.getMasterStatus, {}, { timeoutMs: 20_000 });
  t.is(answer.status?.id, "m1");
  service.signal("SIGTERM");
  t.is(await service.exitCode(), EXIT.ok);
  t.regex(service.log, /"message":"process stopping"/);
});

test("a broken invariant in a handler ends the process, and the log says which", async (t) => {
  const service = new Service(t, "broken");
  const channel = new RpcChannel(await service.address());
  t.teardown(() => channel.close());
  const call = unary(channel, AdminService.getMasterStatus, {}, { timeoutMs: 20_000 });
  await t.throwsAsync(call, { name: "LumeoError" });
  t.is(await service.exitCode(), EXIT.crashed);
  t.regex(service.log, /"message":"process crashed".*applied passed committed.*"INVARIANT"/);
});

test("a rejection that nobody handles ends the process", async (t) => {
  const service = new Service(t, "late");
  t.is(await service.exitCode(), EXIT.crashed);
  t.regex(service.log, /"message":"process crashed".*too late/);
});

test("a start that fails by its settings ends with the code for that", async (t) => {
  const first = new Service(t);
  const port = (await first.address()).split(":")[1] ?? "";
  const second = new Service(t, "good", port);
  t.is(await second.exitCode(), EXIT.configInvalid);
  t.regex(second.log, /Cannot listen on 127\.0\.0\.1/);
  first.signal("SIGINT");
  t.is(await first.exitCode(), EXIT.ok);
});
