/** Counts and times what clients ask for. */
export interface Meter {
  /** An operation begins; the result is called with "OK" or an error code when it is answered. */
  began(kind: string): (code: string) => void;
}
