// What is searched completely: with every test run, and when somebody has more time.

import { type ModelSettings, SMALLEST } from "./settings.js";

/** Of two, one has to answer a fence: what the other one has is nobody's alone. */
export const PAIR: ModelSettings = {
  ...SMALLEST,
  servers: 3,
  replicas: 2,
  replaces: true,
  wipes: 1,
};

/** A few seconds together. */
export const SMALL_CONFIGURATIONS: readonly ModelSettings[] = [
  {
    ...SMALLEST,
    name: "3 replicas, 2 epochs, 1 write, a restart, every message at any time",
    crashes: 1,
    hurries: false,
  },
  { ...SMALLEST, name: "3 replicas, 2 epochs, 2 writes", writes: 2 },
  { ...SMALLEST, name: "3 replicas, 2 epochs, 1 write, a lost disk", wipes: 1 },
  {
    ...SMALLEST,
    name: "3 replicas, 2 epochs, 1 write, a damaged copy, repeated messages",
    damages: 1,
    recalls: true,
  },
  {
    ...SMALLEST,
    name: "3 replicas and a spare, members replaced, copies removed, 2 epochs, 1 write",
    servers: 4,
    replaces: true,
    removes: true,
  },
  { ...SMALLEST, name: "3 replicas, 2 epochs, 1 write, commit notices", notices: true },
  { ...PAIR, name: "2 replicas and a spare, members replaced, a lost disk, 3 epochs", epochs: 3 },
  { ...PAIR, name: "2 replicas and a spare, members replaced, a lost disk, 2 writes", writes: 2 },
  {
    ...PAIR,
    name: "2 replicas and a spare, members replaced, copies removed, a damaged copy",
    wipes: 0,
    damages: 1,
    removes: true,
    recalls: true,
  },
  { ...SMALLEST, name: "4 replicas, 2 epochs, 1 write", servers: 4, replicas: 4 },
];

const LARGER: ModelSettings = { ...SMALLEST, statesMax: 8_000_000 };

/** Minutes, and up to 4 GB of memory. */
export const LARGE_CONFIGURATIONS: readonly ModelSettings[] = [
  { ...LARGER, name: "3 replicas, 3 epochs, 1 write", epochs: 3 },
  { ...LARGER, name: "3 replicas, 2 epochs, 3 writes", writes: 3 },
  { ...LARGER, name: "3 replicas, 2 epochs, 2 writes, a restart", writes: 2, crashes: 1 },
  { ...LARGER, name: "3 replicas, 2 epochs, 2 writes, a lost disk", writes: 2, wipes: 1 },
  {
    ...LARGER,
    name: "3 replicas and a spare, members replaced, copies removed, 2 epochs, 2 writes",
    servers: 4,
    writes: 2,
    replaces: true,
    removes: true,
  },
  {
    ...LARGER,
    name: "3 replicas, 3 epochs, 2 writes, primaries 1, 2, 1",
    epochs: 3,
    writes: 2,
    story: { primaries: [1, 2, 1] },
  },
  {
    ...LARGER,
    name: "3 replicas and a spare, members replaced, 3 epochs, 1 write, primaries 1, 2, 3",
    servers: 4,
    epochs: 3,
    replaces: true,
    story: { primaries: [1, 2, 3] },
  },
  {
    ...LARGER,
    name: "3 replicas and a spare, copies removed, repeated messages, 2 epochs, 1 write",
    servers: 4,
    replaces: true,
    removes: true,
    recalls: true,
  },
];
