// A file read whole, for comparing.

import { createHash } from "node:crypto";
import type { Lumeo } from "@lumeofs/client";

/** SHA-256 of a file's content, hexadecimal. */
export async function readAgain(client: Lumeo, path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of await client.get(path)) hash.update(piece);
  return hash.digest("hex");
}
