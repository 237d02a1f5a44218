// The keys that capability tokens are made with (docs/design/0023-capability-tokens.md). The leader
// makes one and writes it into its command; all masters have the same, so that each can give out
// tokens that all chunkservers know.
//
// K1. The newest key and the one before it are kept: what was made with the older one stays valid
//     until it expires, because keys are replaced more slowly than tokens expire (config.ts).
// K2. A command that was decided when another key was the newest changes nothing.
// K3. The secrets are in the log and in the state, as all that masters must not lose; not in
//     backups (restoration.ts), and in nothing that is shown.

import { TOKEN_SECRET_BYTES, TokenKey, type WallMs, wallMs } from "@lumeofs/base";
import { encodeWhole, readList, readWhole, writeList } from "./fields.js";
import { tokenKeysKey } from "./keys.js";
import type { State, StateView } from "./state.js";

export interface MadeKey {
  readonly key: TokenKey;
  readonly madeAt: WallMs;
}

const KEYS_KEPT = 2;
const KEY_BYTES = 4 + 8 + TOKEN_SECRET_BYTES;

/** The newest first; none before the first leader has made one. */
export function getTokenKeys(view: StateView): readonly MadeKey[] {
  const bytes = view.get(tokenKeysKey());
  return bytes === undefined ? [] : decodeTokenKeys(bytes);
}

/** Adds a key if the newest is still `after` (0 for none), and drops the oldest (K1, K2). */
export function addTokenKey(
  state: State,
  { after, secret }: { readonly after: number; readonly secret: Uint8Array },
  madeAt: WallMs,
): void {
  const before = getTokenKeys(state);
  if ((before[0]?.key.id ?? 0) !== after) return;
  const made = { key: new TokenKey(after + 1, secret), madeAt };
  state.put(tokenKeysKey(), encodeTokenKeys([made, ...before].slice(0, KEYS_KEPT)));
}

export function encodeTokenKeys(keys: readonly MadeKey[]): Uint8Array {
  return encodeWhole((writer) => {
    writeList(writer, keys, (to, { key, madeAt }) => {
      to.u32(key.id).u53(madeAt).bytes(key.secret());
    });
  });
}

/** @throws LumeoError CORRUPT */
export function decodeTokenKeys(bytes: Uint8Array): readonly MadeKey[] {
  return readWhole("token keys", bytes, (reader) =>
    readList(reader, KEY_BYTES, (r) => {
      const id = r.u32();
      const madeAt = wallMs(r.u53());
      return { key: new TokenKey(id, r.bytes(TOKEN_SECRET_BYTES).slice()), madeAt };
    }),
  );
}
