import { SeededRandom } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import { type DiskFault, MemoryDisk, SimDisk } from "@lumeofs/testkit";
import test from "ava";
import { SealedFile } from "./sealed-file.js";

const FORM = { crc32c: nativeCrc32c, path: "small", magic: "LUMEOTST", version: 3, bytesMax: 40 };
const [OLD, NEW] = [Uint8Array.of(1, 2, 3), new Uint8Array(40).fill(9)];

test("a sealed file gives back what was written last, and nothing before", async (t) => {
  const disk = new MemoryDisk();
  const file = new SealedFile({ ...FORM, disk });
  t.is(await file.read(), undefined);
  for (const content of [OLD, new Uint8Array(), NEW, OLD]) {
    await file.write(content);
    t.deepEqual(await new SealedFile({ ...FORM, disk }).read(), content);
  }
});

test("a sealed file with a flipped bit, a lost end, or of another kind is CORRUPT", async (t) => {
  const disk = new MemoryDisk();
  await new SealedFile({ ...FORM, disk }).write(OLD);
  const length = 8 + 4 + OLD.length + 4;
  const file = await disk.open("small", { create: false });
  const bytes = new Uint8Array(length);
  t.is(await file.readAt(bytes, 0), length);
  for (let bit = 0; bit < 8 * length; bit++) {
    const flipped = bytes.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    await file.writeAt([flipped], 0);
    await t.throwsAsync(new SealedFile({ ...FORM, disk }).read(), { code: "CORRUPT" }, `${bit}`);
  }
  await file.writeAt([bytes], 0);
  const others = [{ magic: "LUMEOXXX" }, { version: 4 }, { bytesMax: OLD.length - 1 }];
  for (const other of others) {
    const read = new SealedFile({ ...FORM, disk, ...other }).read();
    await t.throwsAsync(read, { code: "CORRUPT" });
  }
  for (let end = length - 1; 0 <= end; end--) {
    await file.truncate(end);
    await t.throwsAsync(new SealedFile({ ...FORM, disk }).read(), { code: "CORRUPT" }, `${end}`);
  }
  await file.close();
});

test("power that fails at any call of a write leaves the old content or the new", async (t) => {
  for (const keeps of ["all", "none", "some"] as const) {
    for (let at = 1, isOver = false; !isOver; at++) {
      let counted = Number.NEGATIVE_INFINITY;
      const faultOf = (): DiskFault | undefined => (++counted === at ? "EIO" : undefined);
      const machine = new SimDisk({ random: new SeededRandom(at, "disk"), faultOf });
      await new SealedFile({ ...FORM, disk: machine.mount() }).write(OLD);
      counted = 0;
      const written = new SealedFile({ ...FORM, disk: machine.mount() }).write(NEW);
      const failed = await written.then(
        () => false,
        () => true,
      );
      isOver = counted < at;
      t.is(failed, !isOver);
      machine.crash(keeps);
      counted = Number.NEGATIVE_INFINITY;
      const found = await new SealedFile({ ...FORM, disk: machine.mount() }).read();
      const isRight = found?.length === NEW.length || (!isOver && found?.length === OLD.length);
      t.true(isRight, `call ${at}, ${keeps} survives`);
    }
  }
});
