// A map whose keys are bytes, compared by content. A Map needs a string for each key; making one
// costs more than the look-up itself, on paths that look up some thirty keys for one operation.
//
// M1. Entries are numbered from 0 in the order in which they were added, and never removed.
// M2. slots[i] is 0 (free) or 1 + the number of an entry; an entry lies at the first free slot at
//     or behind the one that its hash names. At most half of the slots are used.

/** Slots of an empty map; a power of two, as all later sizes. */
const SLOTS_MIN = 16;

/** Bytes to values. The keys are kept: nobody may change them afterwards. */
export class ByteMap<Value> {
  #slots = new Int32Array(SLOTS_MIN);
  #keys: Uint8Array[] = [];
  #hashes: number[] = [];
  #values: Value[] = [];

  get size(): number {
    return this.#keys.length;
  }

  /**
   * Number of the entry with this key, or -1.
   *
   * @param hash  `hashBytes(key)`, of whoever asks several maps.
   */
  find(key: Uint8Array, hash?: number): number {
    if (this.#keys.length === 0) return -1;
    return this.#findHashed(key, hash ?? hashBytes(key));
  }

  get(key: Uint8Array, hash?: number): Value | undefined {
    const entry = this.find(key, hash);
    return entry < 0 ? undefined : this.#values[entry];
  }

  /** Adds an entry, or replaces the value of the one with this key. */
  set(key: Uint8Array, value: Value): void {
    const hash = hashBytes(key);
    const entry = this.#findHashed(key, hash);
    if (0 <= entry) this.#values[entry] = value;
    else this.add(key, value, hash);
  }

  /** Adds an entry whose key is not there yet. */
  add(key: Uint8Array, value: Value, hash: number): void {
    this.#keys.push(key);
    this.#hashes.push(hash);
    this.#values.push(value);
    if (this.#slots.length < 2 * this.#keys.length) this.#grow();
    else this.#place(this.#keys.length - 1, hash);
  }

  /** Key of an entry below `size`. */
  keyAt(entry: number): Uint8Array {
    return this.#keys[entry] as Uint8Array;
  }

  /** Value of an entry below `size`. */
  valueAt(entry: number): Value {
    return this.#values[entry] as Value;
  }

  setValueAt(entry: number, value: Value): void {
    this.#values[entry] = value;
  }

  #findHashed(key: Uint8Array, hash: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = (this.#slots[slot] as number) - 1;
      if (entry < 0) return -1;
      if (this.#hashes[entry] === hash && isEqual(this.#keys[entry] as Uint8Array, key)) {
        return entry;
      }
    }
  }

  #place(entry: number, hash: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = entry + 1;
  }

  #grow(): void {
    this.#slots = new Int32Array(2 * this.#slots.length);
    for (let entry = 0; entry < this.#hashes.length; entry++) {
      this.#place(entry, this.#hashes[entry] as number);
    }
  }
}

/** Whether two arrays hold the same bytes. */
export function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  const { length } = a;
  if (length !== b.length) return false;
  // Keys of one table begin alike: the difference is mostly at the end.
  for (let i = length - 1; 0 <= i; i--) if (a[i] !== b[i]) return false;
  return true;
}

/** Like memcmp: negative if `a` comes first; a beginning comes before what goes on. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** FNV-1a, with its high bits mixed into the low ones that choose the slot. */
export function hashBytes(key: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ (key[i] as number), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 1;
}
