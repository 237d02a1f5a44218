import { LumeoError, SILENT_LOGGER } from "@lumeofs/base";
import test from "ava";
import { Mandates } from "./mandates.js";

/** What is kept survives; writes end when the test says so. */
function cast() {
  const writes: { readonly end: (error?: Error) => void }[] = [];
  let content: Uint8Array | undefined;
  const kept = {
    read: async () => (content === undefined ? [] : [content]),
    write: (next: Uint8Array) =>
      new Promise<void>((resolve, reject) => {
        const end = (error?: Error): void => {
          if (error !== undefined) return reject(error);
          content = next;
          resolve();
        };
        writes.push({ end });
      }),
  };
  const failures: LumeoError[] = [];
  const ports = { logger: SILENT_LOGGER, onFailure: (error: LumeoError) => failures.push(error) };
  const open = () => Mandates.read(kept, ports);
  return { writes, open, failures };
}

/** Everything that is due in this turn has happened. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test("no order of a new mandate is obeyed before that is durable", async (t) => {
  const { writes, open } = cast();
  const mandates = await open();
  const obeyed: number[] = [];
  for (const number of [1, 2]) void mandates.obey(4).then(() => obeyed.push(number));
  await settled();
  t.deepEqual([writes.length, obeyed], [1, []]);
  t.is((await open()).newest, 0);
  writes[0]?.end();
  await settled();
  t.deepEqual(obeyed, [1, 2]);
  await mandates.obey(4);
  t.is(writes.length, 1, "once for each leader");
  t.is((await open()).newest, 4);
});

test("an order that waits while a later leader gives its first one is refused", async (t) => {
  const { writes, open } = cast();
  const mandates = await open();
  const older = mandates.obey(4);
  const newer = mandates.obey(6);
  await settled();
  writes[0]?.end();
  await t.throwsAsync(
    async () => {
      const both = Promise.all([older, newer]);
      await settled();
      writes[1]?.end();
      await both;
    },
    { code: "NOT_LEADER", message: /mandate 4.*mandate 6/ },
  );
  await newer;
  await t.throwsAsync(mandates.obey(5), { code: "NOT_LEADER" });
  t.is((await open()).newest, 6);
});

test("a mandate that cannot be kept is the end of the store, and nobody is obeyed", async (t) => {
  const { writes, open, failures } = cast();
  const mandates = await open();
  const refusal = t.throwsAsync(mandates.obey(4), { instanceOf: LumeoError, code: "STORE_FAILED" });
  await settled();
  writes[0]?.end(new Error("no such device"));
  await refusal;
  t.is(failures.length, 1);
  await t.throwsAsync(mandates.obey(4), { code: "STORE_FAILED" });
});
