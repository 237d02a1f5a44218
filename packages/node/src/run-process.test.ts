import { type Closable, type LogFields, LumeoError, SILENT_LOGGER } from "@lumeofs/base";
import test from "ava";
import { EXIT, type ProcessControl, runProcess } from "./run-process.js";

/** A process that is not one: signals by hand, exit codes kept. */
class Host {
  readonly exits: number[] = [];
  readonly log: string[] = [];
  readonly #listeners = new Map<string, (argument: unknown) => void>();
  readonly logger = {
    ...SILENT_LOGGER,
    info: (message: string) => void this.log.push(message),
    error: (message: string, fields?: LogFields) => {
      this.log.push(`${message}: ${(fields?.error as Error | undefined)?.message ?? ""}`);
    },
    close: async () => void this.log.push("log closed"),
  };
  #exited: () => void = () => {};
  readonly ended = new Promise<void>((resolve) => {
    this.#exited = resolve;
  });

  on(event: string, listener: (argument: unknown) => void): void {
    this.#listeners.set(event, listener);
  }

  exit(code: number): void {
    this.exits.push(code);
    this.#exited();
  }

  emit(event: string, argument?: unknown): void {
    this.#listeners.get(event)?.(argument);
  }

  run(start: (control: ProcessControl) => Promise<Closable>, graceMs = 60_000): Promise<void> {
    return runProcess({ host: this, logger: this.logger, start, graceMs });
  }
}

function service(close: () => Promise<void> = async () => {}): () => Promise<Closable> {
  return async () => ({ close });
}

test("runProcess() closes once at a signal, then the log, and exits with 0", async (t) => {
  const host = new Host();
  let closed = 0;
  const running = host.run(
    service(async () => {
      closed++;
    }),
  );
  host.emit("SIGTERM");
  await running;
  t.is(closed, 1);
  t.deepEqual(host.exits, [EXIT.ok]);
  t.deepEqual(host.log, ["process stopping", "log closed"]);
});

test("runProcess() exits at once at the second signal", async (t) => {
  const host = new Host();
  let finish: () => void = () => {};
  const closing = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const running = host.run(service(() => closing));
  host.emit("SIGINT");
  host.emit("SIGINT");
  await host.ended;
  t.deepEqual(host.exits, [130]);
  finish();
  await running;
});

test("runProcess() does not wait for a close that takes longer than the grace", async (t) => {
  const host = new Host();
  const running = host.run(
    service(() => new Promise(() => {})),
    1,
  );
  host.emit("SIGTERM");
  await running;
  t.deepEqual(host.exits, [EXIT.failed]);
});

test("runProcess() reports a close that fails", async (t) => {
  const host = new Host();
  const running = host.run(service(() => Promise.reject(new Error("disk is gone"))));
  host.emit("SIGTERM");
  await running;
  t.deepEqual(host.exits, [EXIT.failed]);
  t.true(host.log.includes("closing failed: disk is gone"));
});

test("runProcess() tells a bad configuration from another failed start", async (t) => {
  const config = new Host();
  await config.run(() => Promise.reject(new LumeoError("CONFIG", "port is taken")));
  t.deepEqual(config.exits, [EXIT.configInvalid]);
  t.true(config.log.includes("start failed: port is taken"));
  const other = new Host();
  await other.run(() => Promise.reject(new LumeoError("STORE_FAILED", "no disk")));
  t.deepEqual(other.exits, [EXIT.failed]);
  const damaged = new Host();
  await damaged.run(() => Promise.reject(new LumeoError("CORRUPT", "it is in quarantine")));
  t.deepEqual(damaged.exits, [EXIT.damaged]);
});

test("runProcess() lets a start give up at a signal and exits with 0", async (t) => {
  const host = new Host();
  const running = host.run(({ stopping }) => {
    return new Promise((_, reject) => {
      stopping.addEventListener("abort", () => reject(stopping.reason));
    });
  });
  host.emit("SIGTERM");
  await running;
  t.deepEqual(host.exits, [EXIT.ok]);
});

for (const event of ["uncaughtException", "unhandledRejection"]) {
  test(`runProcess() crashes at ${event}, with a log line and without closing`, async (t) => {
    const host = new Host();
    let closed = false;
    void host.run(
      service(async () => {
        closed = true;
      }),
    );
    host.emit(event, new Error("applied passed committed"));
    await host.ended;
    t.false(closed);
    t.deepEqual(host.exits, [EXIT.crashed]);
    t.deepEqual(host.log, ["process crashed: applied passed committed", "log closed"]);
  });
}

test("runProcess() crashes when the service says that it cannot go on", async (t) => {
  const host = new Host();
  let control: ProcessControl | undefined;
  void host.run(async (given) => {
    control = given;
    return { close: async () => {} };
  });
  control?.crash(new LumeoError("STORE_FAILED", "Cannot sync"));
  await host.ended;
  t.deepEqual(host.exits, [EXIT.crashed]);
});
