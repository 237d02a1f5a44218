// Large chunks of servers on this machine are read from their files, and from the servers wherever
// that does not work.

import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { KiB, LumeoError, MiB, monotonicMs } from "@lumeofs/base";
import test, { type ExecutionContext } from "ava";
import type { LumeoOptions } from "../src/options.js";
import { type Ports, systemPorts } from "../src/ports.js";
import { collect, content, sameBytes, temporaryFolder, until } from "./fake/bytes.js";
import { FakeCluster } from "./fake/cluster.js";

/** Without hedges: who is asked is the same on a slow machine. */
const LOCAL: Partial<LumeoOptions> = { localReads: true, hedge: false };

/**
 * Time that stands still: a lookup or a file that takes long on a busy machine, while other tests
 * run, is waited for, and a file that is open is not asked for anew.
 */
function patientPorts(): Ports {
  const real = systemPorts();
  const never = () => ({ cancel: () => undefined });
  return {
    ...real,
    clock: { monotonicMs: () => monotonicMs(0), wallMs: () => real.clock.wallMs() },
    timers: { after: never, every: never },
  };
}

/** Three servers that tell where their files are. */
async function start(t: ExecutionContext): Promise<FakeCluster> {
  const cluster = await FakeCluster.start({ chunkservers: 3 });
  t.teardown(() => cluster.close());
  const folder = await temporaryFolder(t);
  for (const server of cluster.servers.values()) server.folder = folder;
  return cluster;
}

function asked(cluster: FakeCluster, what: "read" | "fileLookup"): number {
  return [...cluster.servers.values()].reduce((sum, { requests }) => sum + requests[what], 0);
}

async function reads(
  t: ExecutionContext,
  cluster: FakeCluster,
  bytes: Buffer,
  ports: Ports = patientPorts(),
): Promise<number> {
  const client = cluster.client(LOCAL, ports);
  sameBytes(t, await collect(await client.get("/f")), bytes, "all");
  return client.locallyReadBytes;
}

test("large chunks are read from files, ranges too; small ones and what must not be are not", async (t) => {
  const cluster = await start(t);
  const client = cluster.client(LOCAL, patientPorts());
  const bytes = content(5 * MiB + 77);
  await client.put("/f", bytes, { chunkSize: 2 * MiB });
  sameBytes(t, await collect(await client.get("/f")), bytes, "all");
  t.is(client.locallyReadBytes, bytes.byteLength);
  const range = { start: 2 * MiB - 5, end: 2 * MiB + 100 * KiB };
  const part = await collect(await client.get("/f", { range }));
  sameBytes(t, part, bytes.subarray(range.start, range.end), "a range");
  t.is(asked(cluster, "read"), 0);
  t.is(asked(cluster, "fileLookup"), 3); // once for each chunk

  const before = client.locallyReadBytes;
  await client.put("/small", bytes.subarray(0, 200 * KiB));
  sameBytes(t, await collect(await client.get("/small")), bytes.subarray(0, 200 * KiB), "small");
  const onlyReplica = cluster.server(1).name;
  sameBytes(t, await collect(await client.get("/f", { onlyReplica })), bytes, "of one server");
  const wire = cluster.client({ ...LOCAL, localReads: false }, patientPorts());
  sameBytes(t, await collect(await wire.get("/f")), bytes, "over the wire");
  t.is(client.locallyReadBytes + wire.locallyReadBytes, before);
  t.is(asked(cluster, "fileLookup"), 3);
});

test("a block that is not what was written is never given out, and its copy is reported", async (t) => {
  const cluster = await start(t);
  const bytes = content(6 * MiB);
  await cluster.client().put("/f", bytes, { chunkSize: 3 * MiB });
  for (const id of [1, 2]) {
    const server = cluster.server(id);
    for (const handle of server.chunks.keys()) server.damage(handle, 2 * MiB + 5); // its file, too
  }
  const client = cluster.client(LOCAL, patientPorts());
  for (let i = 0; i < 4; i++) sameBytes(t, await collect(await client.get("/f")), bytes, `${i}`);
  await until(() => 0 < cluster.namespace.damage.length);
  t.is(asked(cluster, "read"), 0); // the next copy is read from its file as well
});

test("where files are others, or not to be read, the servers send it, and are not asked for files again", async (t) => {
  const cluster = await start(t);
  const bytes = content(4 * MiB);
  for (const path of ["/f", "/other"]) {
    await cluster.client().put(path, bytes, { chunkSize: 1 * MiB });
  }
  const refused = (): Promise<never> => Promise.reject(new Error("EACCES: permission denied"));
  const truth = (): object => ({});
  const real = patientPorts();
  const cases = [
    { what: "another inode", place: () => ({ inode: "1" }), ports: real },
    { what: "no such file", place: (path: string) => ({ path: `${path}-not` }), ports: real },
    { what: "no permission", place: truth, ports: { ...real, openFile: refused } },
    { what: "another machine", place: truth, ports: { ...real, hosts: new Set<string>() } },
  ];
  for (const { what, place, ports } of cases) {
    for (const server of cluster.servers.values()) server.faults = { place };
    const before = asked(cluster, "fileLookup");
    const client = cluster.client(LOCAL, ports);
    sameBytes(t, await collect(await client.get("/f")), bytes, what);
    // The spans of a reading begin together: so many have asked before the first answer came.
    const first = asked(cluster, "fileLookup");
    t.true(first <= before + 4, what);
    sameBytes(t, await collect(await client.get("/other")), bytes, `${what}: other`);
    t.is(asked(cluster, "fileLookup"), first, what);
    t.is(client.locallyReadBytes, 0, what);
  }
  for (const server of cluster.servers.values()) server.folder = undefined;
  t.is(await reads(t, cluster, bytes), 0, "switched off at the servers");
});

test("a file that is cut while it is read is followed by its server, at the same byte", async (t) => {
  const cluster = await start(t);
  const bytes = content(4 * MiB);
  await cluster.client().put("/f", bytes);
  const ports = patientPorts();
  const cut: Ports = {
    ...ports,
    openFile: async (identity) => {
      const file = await (ports.openFile as NonNullable<Ports["openFile"]>)(identity);
      return { ...file, readAt: (into, at) => (at === 0 ? file.readAt(into, at) : tornAway()) };
    },
  };
  t.is(await reads(t, cluster, bytes, cut), 2 * MiB);
  t.true(0 < asked(cluster, "read"));
});

test("a disk that does not answer is left to its server, and its files are not read for a while", async (t) => {
  const cluster = await start(t);
  const bytes = content(12 * MiB);
  await cluster.client().put("/f", bytes, { chunkSize: 1 * MiB });
  let readings = 0;
  const openFile = async () => {
    return {
      readAt: () => {
        readings++;
        return new Promise<number>(() => undefined);
      },
      close: async () => undefined,
    };
  };
  const patience = 1_000;
  const alarms = new Set<() => void>();
  const after: Ports["timers"]["after"] = (ms, wake) => {
    if (ms === patience) alarms.add(wake);
    return { cancel: () => alarms.delete(wake) };
  };
  const patient = patientPorts();
  const ports = { ...patient, timers: { ...patient.timers, after }, openFile };
  const client = cluster.client({ ...LOCAL, timeoutMs: patience }, ports);
  const got = client.get("/f").then(collect);
  await until(() => readings === 3); // as many as may be under way
  for (const wake of alarms) wake();
  sameBytes(t, await got, bytes, "all");
  sameBytes(t, await collect(await client.get("/f")), bytes, "again");
  t.is(client.locallyReadBytes, 0);
  t.is(readings, 3);
});

function tornAway(): Promise<never> {
  return Promise.reject(new Error("EIO: i/o error"));
}

test("a file that is removed or replaced while it is read is read to its end", async (t) => {
  const cluster = await start(t);
  const bytes = content(40 * MiB); // more than is read ahead
  await cluster.client().put("/f", bytes);
  const folder = cluster.server(1).folder as string;
  const client = cluster.client(LOCAL, patientPorts());
  const pieces: Uint8Array[] = [];
  for await (const piece of await client.get("/f")) {
    if (pieces.length === 0) {
      for (const name of await readdir(folder)) {
        await rm(join(folder, name));
        await writeFile(join(folder, name), "another file");
      }
    }
    pieces.push(piece);
  }
  sameBytes(t, Buffer.concat(pieces), bytes, "all");
  t.is(asked(cluster, "read"), 0);
  t.is(asked(cluster, "fileLookup"), 1); // all of it came from the file that was open
});

test("a token that is refused gives no file; the reading goes on with a new one", async (t) => {
  const cluster = await start(t);
  const bytes = content(1 * MiB);
  await cluster.client().put("/f", bytes);
  let refusals = 0;
  for (const server of cluster.servers.values()) {
    server.faults = {
      token: () => {
        if (refusals++ < 2) throw new LumeoError("TOKEN_EXPIRED", "too old");
      },
    };
  }
  await reads(t, cluster, bytes);
  t.true(3 <= refusals); // asked for the file, for the bytes, and for these once more
});

test("units of coded files are read from files as well", async (t) => {
  const cluster = await FakeCluster.start({ chunkservers: 6 });
  t.teardown(() => cluster.close());
  const folder = await temporaryFolder(t);
  for (const server of cluster.servers.values()) server.folder = folder;
  const bytes = content(9 * MiB + 5);
  await cluster.client().put("/f", bytes, { code: "4+2/256KiB" });
  const client = cluster.client(LOCAL, patientPorts());
  sameBytes(t, await collect(await client.get("/f")), bytes, "all");
  t.true(bytes.byteLength <= client.locallyReadBytes);
  t.is(asked(cluster, "read"), 0);
});
