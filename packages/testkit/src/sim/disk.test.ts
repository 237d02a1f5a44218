import { type Disk, type File, SeededRandom } from "@lumeofs/base";
import test from "ava";
import { testDisk } from "../contract/disk.js";
import { type DiskFault, SimDisk } from "./disk.js";

testDisk(test, "SimDisk", async () => ({
  disk: new SimDisk({ random: new SeededRandom(1) }).mount(),
  dispose: async () => {},
}));

async function contentOf(disk: Disk, path: string): Promise<number[]> {
  const file = await disk.open(path, { create: false });
  const into = new Uint8Array(await file.size());
  await file.readAt(into, 0);
  await file.close();
  return [...into];
}

async function durableFile(disk: Disk, path: string, bytes: Uint8Array): Promise<File> {
  const file = await disk.open(path, { create: true });
  await file.writeAt([bytes], 0);
  await file.sync();
  await disk.syncFolder("");
  return file;
}

test("D1: what was synced is there after every crash", async (t) => {
  for (let seed = 0; seed < 30; seed++) {
    const machine = new SimDisk({ random: new SeededRandom(seed) });
    const file = await durableFile(machine.mount(), "a", Uint8Array.of(1, 2, 3));
    await file.writeAt([Uint8Array.of(9)], 3);
    machine.crash("some");
    const content = await contentOf(machine.mount(), "a");
    t.deepEqual(content.slice(0, 3), [1, 2, 3]);
  }
});

test("D2: unsynced sectors survive one by one, in every combination", async (t) => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 200; seed++) {
    const machine = new SimDisk({ random: new SeededRandom(seed) });
    const file = await durableFile(machine.mount(), "a", new Uint8Array(1024));
    await file.writeAt([new Uint8Array(1024).fill(1)], 0);
    machine.crash("some");
    const content = await contentOf(machine.mount(), "a");
    t.is(content.length, 1024);
    seen.add(`${content[0]}${content[511]}${content[512]}${content[1023]}`);
  }
  t.deepEqual([...seen].sort(), ["0000", "0011", "1100", "1111"]);
});

test("D2: a name without syncFolder may vanish, and a rename happens as a whole", async (t) => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 100; seed++) {
    const machine = new SimDisk({ random: new SeededRandom(seed) });
    const disk = machine.mount();
    await durableFile(disk, "a", Uint8Array.of(1));
    await durableFile(disk, "b", Uint8Array.of(2));
    await disk.rename("a", "b");
    machine.crash("some");
    const after = machine.mount();
    const names = await after.list("");
    seen.add(`${names.join()}=${await contentOf(after, "b")}`);
  }
  t.deepEqual([...seen].sort(), ["a,b=2", "b=1"]);
});

test("D2: a folder whose own name was not synced takes its files with it", async (t) => {
  const machine = new SimDisk({ random: new SeededRandom(1) });
  const disk = machine.mount();
  await disk.makeFolder("f");
  const file = await disk.open("f/a", { create: true });
  await file.sync();
  await disk.syncFolder("f");
  machine.crash("all");
  t.deepEqual(await machine.mount().list(""), []);
});

test("D3: a sync that failed never becomes good by a later one", async (t) => {
  let fault: DiskFault | undefined;
  const machine = new SimDisk({
    random: new SeededRandom(1),
    faultOf: (call) => (call.kind === "sync" ? fault : undefined),
  });
  const disk = machine.mount();
  const file = await durableFile(disk, "a", Uint8Array.of(1));
  await file.writeAt([Uint8Array.of(2)], 0);
  fault = "EIO";
  await t.throwsAsync(file.sync(), { message: /EIO/ });
  fault = undefined;
  await file.sync();
  t.deepEqual(await contentOf(disk, "a"), [2]);
  machine.crash("all");
  t.deepEqual(await contentOf(machine.mount(), "a"), [1]);
});

test("D4: a user from before the crash never hears from the disk again", async (t) => {
  const machine = new SimDisk({ random: new SeededRandom(1) });
  const old = machine.mount();
  const file = await durableFile(old, "a", Uint8Array.of(1));
  machine.crash("all");
  let isAnswered = false;
  const hear = (): void => {
    isAnswered = true;
  };
  void file.writeAt([Uint8Array.of(2)], 0).then(hear, hear);
  void old.remove("a").then(hear, hear);
  t.deepEqual(await contentOf(machine.mount(), "a"), [1]);
  t.false(isAnswered);
});

test("a crash at any call leaves each byte old or new", async (t) => {
  const steps = async (disk: Disk): Promise<void> => {
    const file = await disk.open("a", { create: true });
    await file.writeAt([Uint8Array.of(1, 1, 1)], 0);
    await file.sync();
    await disk.syncFolder("");
    await file.writeAt([Uint8Array.of(2, 2, 2)], 0);
    await file.sync();
  };
  const counting = new SimDisk({ random: new SeededRandom(1) });
  await steps(counting.mount());
  for (let at = 1; at <= counting.calls; at++) {
    let hasCrashed = (): void => {};
    const crashed = new Promise<void>((resolve) => {
      hasCrashed = resolve;
    });
    const machine = new SimDisk({
      random: new SeededRandom(at),
      faultOf: (call) => (call.number === at ? "crash" : undefined),
      crashed: () => hasCrashed(),
    });
    void steps(machine.mount());
    await crashed;
    machine.crash("some");
    const disk = machine.mount();
    const content = (await disk.exists("a")) ? await contentOf(disk, "a") : [];
    const isAfterSyncs = 4 < at;
    t.true(content.every((byte) => (isAfterSyncs ? byte === 1 || byte === 2 : byte <= 1)));
    if (isAfterSyncs) t.is(content.length, 3);
  }
});

test("a full disk refuses a write and keeps a part of it", async (t) => {
  const machine = new SimDisk({ random: new SeededRandom(5), totalBytes: 100 });
  const disk = machine.mount();
  const file = await disk.open("a", { create: true });
  await file.writeAt([new Uint8Array(90)], 0);
  await t.throwsAsync(file.writeAt([new Uint8Array(50)], 90), { code: "NO_SPACE" });
  t.true((await file.size()) < 140);
});

test("a flipped bit is seen at once and stays", async (t) => {
  const machine = new SimDisk({ random: new SeededRandom(1) });
  await durableFile(machine.mount(), "a", Uint8Array.of(0, 0));
  machine.flipBit("a", 1, 3);
  t.deepEqual(await contentOf(machine.mount(), "a"), [0, 8]);
  machine.crash("all");
  t.deepEqual(await contentOf(machine.mount(), "a"), [0, 8]);
});

test("a stalled disk answers when the stall is over", async (t) => {
  const machine = new SimDisk({ random: new SeededRandom(1) });
  let release = (): void => {};
  machine.stall(
    new Promise((resolve) => {
      release = resolve;
    }),
  );
  let isOpen = false;
  const opening = machine
    .mount()
    .open("a", { create: true })
    .then(() => {
      isOpen = true;
    });
  for (let i = 0; i < 20; i++) await Promise.resolve();
  t.false(isOpen);
  release();
  await opening;
  t.true(isOpen);
});

test("D5: an aftermath has what it was told to keep, and disturbs nobody", async (t) => {
  const random = new SeededRandom(1);
  const machine = new SimDisk({ random });
  const disk = machine.mount();
  const file = await durableFile(disk, "a", new Uint8Array(1024));
  await file.writeAt([new Uint8Array(1024).fill(1)], 0);
  await disk.rename("a", "b");
  const pieces: string[] = [];
  const moment = machine.moment();
  await file.writeAt([new Uint8Array(1024).fill(7)], 0);
  const last = moment.aftermath(
    (piece) => {
      pieces.push(`${piece.kind} ${piece.index} of ${piece.count}`);
      return piece.kind === "sector" && piece.index === 1;
    },
    { random },
  );
  t.deepEqual(pieces, ["name 0 of 1", "sector 0 of 2", "sector 1 of 2"]);
  const found = await contentOf(last.mount(), "a");
  t.deepEqual([found[511], found[512], found[1023]], [0, 1, 1]);
  const whole = moment.aftermath(() => true, { random });
  t.deepEqual((await contentOf(whole.mount(), "b"))[0], 1, "as it was then");
  await file.sync();
  t.deepEqual((await contentOf(disk, "b"))[0], 7);
});

test("D5: every call is told while a crash could still lose it", async (t) => {
  const told: string[] = [];
  const machine: SimDisk = new SimDisk({
    random: new SeededRandom(1),
    began: ({ kind }) => {
      const rest = machine.moment().aftermath(() => false, { random: new SeededRandom(1) });
      told.push(`${kind} ${rest.paths().join()}`);
    },
  });
  await durableFile(machine.mount(), "a", Uint8Array.of(1));
  t.deepEqual(told, ["open ", "write ", "sync ", "syncFolder "]);
  t.deepEqual(
    machine
      .moment()
      .aftermath(() => false, { random: new SeededRandom(1) })
      .paths(),
    ["a"],
  );
});

test("D4: what a killed process has written is there, and durable only after a sync", async (t) => {
  const machine = new SimDisk({ random: new SeededRandom(1) });
  const file = await durableFile(machine.mount(), "a", Uint8Array.of(1));
  await file.writeAt([Uint8Array.of(2)], 0);
  machine.kill();
  const late = file.writeAt([Uint8Array.of(3)], 0).then(() => "told");
  t.is(await Promise.race([late, new Promise((resolve) => setImmediate(resolve))]), undefined);
  const disk = machine.mount();
  t.deepEqual(await contentOf(disk, "a"), [2]);
  const lose = () => machine.moment().aftermath(() => false, { random: new SeededRandom(1) });
  t.deepEqual(await contentOf(lose().mount(), "a"), [1]);
  await (await disk.open("a", { create: false })).sync();
  t.deepEqual(await contentOf(lose().mount(), "a"), [2]);
});
