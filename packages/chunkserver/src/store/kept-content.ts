/** A small content that is kept, in as many places as there are; each one replaces the last. */
export interface KeptContent {
  /** What is kept in each of the places. @throws LumeoError CORRUPT */
  read(): Promise<readonly Uint8Array[]>;
  /** Durable when it resolves. */
  write(content: Uint8Array): Promise<void>;
}
