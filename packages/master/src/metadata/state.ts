/**
 * The state as `apply` sees it: an ordered map from bytes to bytes, read and written at once.
 * Nothing here may assume that the whole fits in memory, so there is no way to walk it: apply
 * touches only keys that it can name. Keys and values that are put are kept as they are: nobody may
 * change their bytes afterwards.
 */
export interface State extends StateView {
  put(key: Uint8Array, value: Uint8Array): void;
  delete(key: Uint8Array): void;
}

/**
 * What both sides of the state can do: look up one key. The bytes are not changed by the caller.
 */
export interface StateView {
  get(key: Uint8Array): Uint8Array | undefined;
}

/** The state as queries see it. Ranges are pages: at most `countMax` pairs, in key order. */
export interface StateReader extends StateView {
  /** Pairs with from <= key < to. */
  range(
    from: Uint8Array,
    to: Uint8Array,
    countMax: number,
  ): Promise<readonly (readonly [Uint8Array, Uint8Array])[]>;
}
