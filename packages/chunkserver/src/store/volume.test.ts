import { crc32c, SeededRandom, serverId } from "@lumeofs/base";
import { MemoryDisk, SimDisk } from "@lumeofs/testkit";
import test from "ava";
import { Volume } from "./volume.js";

const UUID = "01234567-89ab-cdef-0123-456789abcdef";
const never = () => {
  throw new Error("a second identity");
};

test("Volume keeps its uuid and its membership over starts", async (t) => {
  const disk = new MemoryDisk();
  const first = await Volume.open(disk, () => UUID, crc32c);
  t.is(first.membership, undefined);
  await first.join({ serverId: serverId(4), clusterId: "c" });
  const again = await Volume.open(disk, never, crc32c);
  t.is(again.uuid, UUID);
  t.deepEqual(again.membership, { serverId: serverId(4), clusterId: "c" });
  t.is(Buffer.from(again.owner).toString("hex"), UUID.replaceAll("-", ""));
});

test("Volume knows nothing that could not be written", async (t) => {
  let isBroken = false;
  const faultOf = ({ kind }: { kind: string }) => (isBroken && kind === "sync" ? "EIO" : undefined);
  const machine = new SimDisk({ random: new SeededRandom(1, "disk"), faultOf });
  const volume = await Volume.open(machine.mount(), () => UUID, crc32c);
  isBroken = true;
  const asked = volume.join({ serverId: serverId(4), clusterId: "c" });
  await t.throwsAsync(asked, { code: "STORE_FAILED" });
  t.is(volume.membership, undefined);
});

test("Volume refuses a damaged file at every byte, and never makes a new one beside data", async (t) => {
  const disk = new MemoryDisk();
  await Volume.open(disk, () => UUID, crc32c);
  const file = await disk.open("volume", { create: false });
  const bytes = new Uint8Array(await file.size());
  await file.readAt(bytes, 0);
  for (const [at, byte] of bytes.entries()) {
    await file.writeAt([Uint8Array.of(byte ^ 0x10)], at);
    await t.throwsAsync(Volume.open(disk, never, crc32c), { code: "CORRUPT" }, `byte ${at}`);
    await file.writeAt([Uint8Array.of(byte)], at);
    await file.truncate(at);
    await t.throwsAsync(Volume.open(disk, never, crc32c), { code: "CORRUPT" }, `cut at ${at}`);
    await file.writeAt([bytes], 0);
  }
  await disk.makeFolder("log");
  await disk.remove("volume");
  await t.throwsAsync(Volume.open(disk, never, crc32c), { code: "CORRUPT" });
});
