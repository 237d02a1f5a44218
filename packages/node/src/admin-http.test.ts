import { type LogFields, SILENT_LOGGER } from "@lumeofs/base";
import test, { type ExecutionContext } from "ava";
import { AdminHttp, type AdminHttpOptions, type Readiness } from "./admin-http.js";
import { counter, gauge, histogram, openMetrics } from "./prometheus.js";

async function start(
  t: ExecutionContext,
  options: Partial<AdminHttpOptions>,
): Promise<(path: string, method?: string) => Promise<Response>> {
  const admin = await AdminHttp.start({
    host: "127.0.0.1",
    port: 0,
    readiness: () => ({ kind: "ready" }),
    logger: SILENT_LOGGER,
    ...options,
  });
  t.teardown(() => admin.close());
  return (path, method = "GET") => fetch(`http://127.0.0.1:${admin.port}${path}`, { method });
}

test("/healthz answers while the process runs", async (t) => {
  const get = await start(t, {});
  const answer = await get("/healthz");
  t.is(answer.status, 200);
  t.is(await answer.text(), "ok\n");
});

test("/readyz answers 503 with the reason until the process can serve", async (t) => {
  let readiness: Readiness = { kind: "notReady", why: "no leader is known" };
  const get = await start(t, { readiness: () => readiness });
  const before = await get("/readyz?verbose");
  t.is(before.status, 503);
  t.is(await before.text(), "no leader is known\n");
  readiness = { kind: "ready" };
  t.is((await get("/readyz")).status, 200);
});

test("/metrics shows the table's values", async (t) => {
  const { metrics, exposition } = await openMetrics({
    reads: counter("lumeo_test_reads_total", "Reads.", ["source"]),
    members: gauge("lumeo_test_members", "Members."),
    seconds: histogram("lumeo_test_seconds", "Time.", { buckets: [0.1, 1] }),
  });
  metrics.reads.add(2, { source: "disk" });
  metrics.reads.add(1, { source: "disk" });
  metrics.members.set(3);
  metrics.seconds.observe(0.5);
  const get = await start(t, { metrics: exposition });
  const answer = await get("/metrics");
  t.regex(answer.headers.get("content-type") ?? "", /text\/plain/);
  const text = await answer.text();
  t.regex(text, /^lumeo_test_reads_total\{source="disk"\} 3$/m);
  t.regex(text, /^lumeo_test_members 3$/m);
  t.regex(text, /^lumeo_test_seconds_bucket\{le="1"\} 1$/m);
  t.regex(text, /^lumeo_test_seconds_bucket\{le="0\.1"\} 0$/m);
  t.regex(text, /^process_resident_memory_bytes \d+$/m);
});

test("an unknown path answers 404, another method 405, a broken readiness 500", async (t) => {
  const logged: (LogFields | undefined)[] = [];
  const logger = { ...SILENT_LOGGER, error: (_: string, f?: LogFields) => void logged.push(f) };
  const broken = (): Readiness => {
    throw new Error("oops");
  };
  const get = await start(t, { readiness: broken, logger });
  t.is((await get("/nothing")).status, 404);
  t.is((await get("/metrics")).status, 404);
  t.is((await get("/healthz", "POST")).status, 405);
  t.is((await get("/readyz")).status, 500);
  t.is(logged.length, 1);
});

test("AdminHttp.start() says which address is taken; close() is harmless twice", async (t) => {
  const options = {
    host: "127.0.0.1",
    readiness: (): Readiness => ({ kind: "ready" }),
    logger: SILENT_LOGGER,
  };
  const first = await AdminHttp.start({ ...options, port: 0 });
  const second = AdminHttp.start({ ...options, port: first.port });
  const error = await t.throwsAsync(second, { name: "LumeoError" });
  t.regex(error.message, new RegExp(`127.0.0.1:${first.port}`));
  await first.close();
  await t.notThrowsAsync(first.close());
});
