// Commands about tails ⇄ bytes: docs/formats/command.md.

import {
  assertNever,
  type ByteReader,
  type ByteWriter,
  chunkHandle,
  epoch,
  serverId,
} from "@lumeofs/base";
import type { Command, TailCommand } from "./command.js";
import { KIND } from "./command-kind.js";
import {
  corrupt,
  readFlag,
  readId,
  readIds,
  readText,
  writeFlag,
  writeList,
  writeNumber,
  writeText,
} from "./fields.js";

export function writeTailCommand(w: ByteWriter, command: TailCommand): void {
  switch (command.kind) {
    case "openTail":
      writeText(w, command.path);
      writeFlag(w, command.create);
      writeFlag(w, command.makeParents);
      return writeList(w.u8(command.replicas), command.members, writeNumber);
    case "grantTailEpoch":
      w.u53(command.handle).u53(command.expectedNewest).u53(command.primary);
      return writeList(w, command.members, writeNumber);
    case "activateTailEpoch":
      w.u53(command.handle).u53(command.epoch);
      return;
    case "sealTail":
      w.u53(command.handle).u53(command.epoch).u53(command.chunkEpoch);
      w.u32(command.lengthBytes).u32(command.crc32c);
      return;
    case "salvageTail":
      writeList(w.u53(command.handle).u53(command.expectedNewest), command.survivors, writeNumber);
      return writeList(w, command.members, writeNumber);
    default:
      assertNever(command);
  }
}

export function readTailCommand(r: ByteReader, kind: number): Command {
  switch (kind) {
    case KIND.openTail: {
      const path = readText(r);
      const create = readFlag(r);
      const makeParents = readFlag(r);
      const replicas = r.u8();
      return { kind: "openTail", path, create, makeParents, replicas, members: readMembers(r) };
    }
    case KIND.grantTailEpoch: {
      const handle = readId(r, chunkHandle);
      const expectedNewest = readId(r, epoch);
      const primary = readId(r, serverId);
      const members = readMembers(r);
      if (!members.includes(primary))
        throw corrupt("grant of an epoch", "its primary is no member");
      return { kind: "grantTailEpoch", handle, expectedNewest, primary, members };
    }
    case KIND.activateTailEpoch:
      return {
        kind: "activateTailEpoch",
        handle: readId(r, chunkHandle),
        epoch: readId(r, epoch),
      };
    case KIND.sealTail:
      return {
        kind: "sealTail",
        handle: readId(r, chunkHandle),
        epoch: readId(r, epoch),
        chunkEpoch: readId(r, epoch),
        lengthBytes: r.u32(),
        crc32c: r.u32(),
      };
    case KIND.salvageTail:
      return {
        kind: "salvageTail",
        handle: readId(r, chunkHandle),
        expectedNewest: readId(r, epoch),
        survivors: readMembers(r),
        members: readMembers(r),
      };
    default:
      throw corrupt("proposal", `its kind is ${kind}`);
  }
}

function readMembers(r: ByteReader) {
  const members = readIds(r, serverId);
  if (new Set(members).size === members.length) return members;
  throw corrupt("members of a tail", "a server stands there twice");
}
