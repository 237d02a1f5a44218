// Folders of a soak whose files are kept as units of a code: of small files, of large ones, and of
// files that are appended to, which are coded when they are sealed.

import type { Lumeo } from "@lumeofs/client";

const FOLDERS = ["/small-0", "/small-1", "/large", "/logs"] as const;

/**
 * Says so of the folders. While there are too few servers files are kept as copies: no call may
 * fail for that.
 *
 * @param code  As PutOptions.code.
 */
export async function keepCoded(client: Lumeo, code: string): Promise<void> {
  for (const folder of FOLDERS) {
    await client.mkdir(folder, { recursive: true });
    await client.setPolicy(folder, { code, codeFallback: "replicate" });
  }
}
