// What clients wrote and did not commit: the masters know all of it when the client is closed.

import { LumeoError as InternalError, KiB, MiB, monotonicMs } from "@lumeofs/base";
import test, { type ExecutionContext } from "ava";
import type { Lumeo } from "../src/index.js";
import { type Ports, systemPorts } from "../src/ports.js";
import { content, until } from "./fake/bytes.js";
import { FakeCluster } from "./fake/cluster.js";

interface Case {
  readonly what: string;
  /** Writes, and fails on its way. */
  readonly work: (cluster: FakeCluster, client: Lumeo, t: ExecutionContext) => Promise<unknown>;
}

const lost = () => new InternalError("CONNECTION_LOST", "lost");

/** The first confirmation of each server is lost. */
function loseConfirmations(cluster: FakeCluster): void {
  for (const server of cluster.servers.values()) {
    let count = 0;
    server.faults = {
      confirm: () => {
        if (count++ === 0) throw lost();
      },
    };
  }
}

async function* endless(onPiece: (n: number) => void): AsyncGenerator<Uint8Array> {
  for (let i = 0; ; i++) {
    onPiece(i);
    yield content(64 * KiB);
  }
}

const CASES: readonly Case[] = [
  {
    what: "small chunks whose confirmation was lost",
    work: (cluster, client) => {
      loseConfirmations(cluster);
      return Promise.all([1, 2, 3].map((n) => client.put(`/f${n}`, content(5 * KiB, n))));
    },
  },
  {
    what: "large chunks whose confirmation was lost",
    work: (cluster, client) => {
      loseConfirmations(cluster);
      return client.put("/f", content(9 * MiB), { chunkSize: 4 * MiB });
    },
  },
  {
    what: "units of a code whose confirmation was lost",
    work: (cluster, client) => {
      loseConfirmations(cluster);
      return client.put("/f", content(3 * MiB), { code: "2+1" });
    },
  },
  {
    what: "a stream that is aborted",
    work: async (_, client, t) => {
      const controller = new AbortController();
      const body = endless((n) => n === 100 && controller.abort());
      const { signal } = controller;
      await t.throwsAsync(client.put("/f", body, { signal, chunkSize: 1 * MiB }));
    },
  },
  {
    what: "a source that fails",
    work: async (_, client, t) => {
      const body = endless((n) => {
        if (n === 50) throw new Error("the source is broken");
      });
      await t.throwsAsync(client.put("/f", body, { chunkSize: 1 * MiB }));
    },
  },
  {
    what: "a commit that is refused",
    work: async (_, client, t) => {
      await client.put("/f", "x");
      const options = { ifNoneMatch: "*", chunkSize: 1 * MiB } as const;
      await t.throwsAsync(client.put("/f", content(3 * MiB), options));
    },
  },
  {
    what: "an edit that is refused",
    work: async (cluster, client, t) => {
      await client.put("/f", content(3 * MiB), { chunkSize: 1 * MiB });
      const file = await client.open("/f", "r+");
      await file.write(content(10, 7), 5);
      const refusal = new InternalError("INVALID_ARGUMENT", "no");
      cluster.fate = (operation) => (operation.editFile ? refusal : "normal");
      await t.throwsAsync(file.sync());
      await file.close().catch(() => undefined);
    },
  },
];

for (const { what, work } of CASES) {
  test(`${what}: what was written of them is abandoned, and nothing else`, async (t) => {
    await using cluster = await FakeCluster.start();
    const client = cluster.client({}, patient());
    await work(cluster, client, t);
    await client.close();
    await checkRest(cluster, t);
  });
}

for (const bytes of [5 * KiB, 3 * MiB]) {
  test(`${bytes} bytes that came after the end of their grant are abandoned`, async (t) => {
    await using cluster = await FakeCluster.start();
    const { ports, pass } = passing();
    const client = cluster.client({}, ports);
    let count = 0;
    for (const server of cluster.servers.values()) {
      const confirm = () => {
        if (count++ === 0) pass(cluster.namespace.usableMs);
      };
      server.faults = { confirm };
    }
    await client.put("/f", content(bytes));
    await client.close();
    await checkRest(cluster, t);
  });
}

/** With alarms that go off late: on a machine with much to do, telling is not given up. */
function patient(): Ports {
  const ports = systemPorts();
  const { timers } = ports;
  const after: typeof timers.after = (ms, wake) => timers.after(10 * ms, wake);
  return { ...ports, timers: { after, every: (ms, tick) => timers.every(ms, tick) } };
}

/** A clock that the test puts forward; alarms do not see it. */
function passing(): { readonly ports: Ports; readonly pass: (ms: number) => void } {
  const ports = patient();
  let passedMs = 0;
  const clock = {
    monotonicMs: () => monotonicMs(ports.clock.monotonicMs() + passedMs),
    wallMs: () => ports.clock.wallMs(),
  };
  const pass = (ms: number): void => {
    passedMs += ms;
  };
  return { ports: { ...ports, clock }, pass };
}

/** Something was left behind, and the masters know of all that was. */
async function checkRest(cluster: FakeCluster, t: ExecutionContext): Promise<void> {
  await until(() => [...cluster.servers.values()].every((one) => one.openRequests === 0));
  const { applied, abandoned } = cluster.namespace;
  const committed = applied.flatMap(({ commit }) => commit?.chunks ?? []);
  const kept = new Set(committed.map(({ handle }) => handle ?? 0));
  const stored = [...cluster.servers.values()].flatMap(({ chunks }) => [...chunks.keys()]);
  t.true(
    stored.some((handle) => !kept.has(handle)),
    "the case leaves something behind",
  );
  for (const handle of stored) {
    if (!kept.has(handle)) t.true(abandoned.has(handle), `${handle} is not abandoned`);
  }
  for (const handle of abandoned) t.false(kept.has(handle), `${handle} is in a file`);
}

test("close does not wait long for masters that do not hear of it", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client({ retry: false });
  for (const server of cluster.servers.values()) {
    server.faults = {
      confirm: () => {
        cluster.fate = (operation) => (operation.abandonChunks ? "never answer" : "normal");
        throw lost();
      },
    };
  }
  await t.throwsAsync(client.put("/f", content(5 * KiB)));
  await t.notThrowsAsync(client.close({ graceMs: 0 }));
});
