// Which servers a process is talking to right now: so that a drill can kill the primary that a
// client is sending to, and not just any chunkserver. Linux only; elsewhere the answer is empty.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const ESTABLISHED = "01";

/** Remote ports of the TCP connections that a process has open. */
export function connectedPorts(pid: number): ReadonlySet<number> {
  const inodes = socketInodes(pid);
  const ports = new Set<number>();
  for (const table of ["tcp", "tcp6"]) {
    for (const line of readLines(`/proc/${pid}/net/${table}`).slice(1)) {
      const fields = line.trim().split(/\s+/);
      const [remote, state, inode] = [fields[2], fields[3], fields[9]];
      if (remote === undefined || state !== ESTABLISHED) continue;
      if (inode !== undefined && inodes.has(inode)) {
        ports.add(Number.parseInt(remote.slice(remote.indexOf(":") + 1), 16));
      }
    }
  }
  return ports;
}

function socketInodes(pid: number): ReadonlySet<string> {
  const inodes = new Set<string>();
  for (const fd of list(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(link(`/proc/${pid}/fd/${fd}`))?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  return inodes;
}

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ""; // Closed since the folder was read.
  }
}

function readLines(file: string): readonly string[] {
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n");
  } catch {
    return [];
  }
}
