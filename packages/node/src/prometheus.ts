// Metrics: one table of declarations per process, opened once with prom-client.
//
// The declarations are plain data, so a file that lists metrics loads nothing; `openMetrics` loads
// prom-client and gives each declaration its live counterpart under the same key.

import type { Registry } from "prom-client";

/** Labels come from small closed sets: never a chunk, a path or a key. */
export type Labels = Readonly<Record<string, string>>;

interface Declaration<Kind extends string> {
  readonly kind: Kind;
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}
export type CounterDeclaration = Declaration<"counter">;
export type GaugeDeclaration = Declaration<"gauge">;
export interface HistogramDeclaration extends Declaration<"histogram"> {
  readonly buckets: readonly number[];
}
export type MetricDeclaration = CounterDeclaration | GaugeDeclaration | HistogramDeclaration;
export type MetricTable = Readonly<Record<string, MetricDeclaration>>;

/** A sum that only grows. */
export interface Counter {
  add(amount?: number, labels?: Labels): void;
}
/** A value that goes up and down. */
export interface Gauge {
  set(value: number, labels?: Labels): void;
}
/** A distribution. */
export interface Histogram {
  observe(value: number, labels?: Labels): void;
}

type Live<D> = D extends CounterDeclaration
  ? Counter
  : D extends GaugeDeclaration
    ? Gauge
    : Histogram;

/** What `/metrics` shows. */
export interface MetricsText {
  readonly contentType: string;
  text(): Promise<string>;
}

export type Metrics<T extends MetricTable> = { readonly [K in keyof T]: Live<T[K]> };

/** From a tenth of a millisecond to ten seconds. */
const SECONDS = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10] as const;

/** `name` ends in `_total` or `_bytes_total`. */
export function counter(
  name: string,
  help: string,
  labels: readonly string[] = [],
): CounterDeclaration {
  return { kind: "counter", name, help, labels };
}

export function gauge(
  name: string,
  help: string,
  labels: readonly string[] = [],
): GaugeDeclaration {
  return { kind: "gauge", name, help, labels };
}

/** Buckets default to durations in seconds, from 0.1 ms to 10 s. */
export function histogram(
  name: string,
  help: string,
  options: { readonly labels?: readonly string[]; readonly buckets?: readonly number[] } = {},
): HistogramDeclaration {
  const { labels = [], buckets = SECONDS } = options;
  return { kind: "histogram", name, help, labels, buckets };
}

/**
 * Brings a table to life in a registry of its own, next to Node.js's own process metrics: unless
 * the process is shared by others, who would all watch it.
 */
export async function openMetrics<T extends MetricTable>(
  table: T,
  options: { readonly ofProcess?: boolean } = {},
): Promise<{ readonly metrics: Metrics<T>; readonly exposition: MetricsText }> {
  const library = await import("prom-client");
  const registry = new library.Registry();
  if (options.ofProcess ?? true) library.collectDefaultMetrics({ register: registry });
  const live = Object.entries(table).map(([key, declared]) => [
    key,
    open(library, registry, declared),
  ]);
  return {
    metrics: Object.fromEntries(live) as Metrics<T>,
    exposition: { contentType: registry.contentType, text: () => registry.metrics() },
  };
}

function open(
  library: typeof import("prom-client"),
  registry: Registry,
  declared: MetricDeclaration,
): Counter | Gauge | Histogram {
  const { name, help } = declared;
  const settings = { name, help, labelNames: [...declared.labels], registers: [registry] };
  switch (declared.kind) {
    case "counter": {
      const metric = new library.Counter(settings);
      const childOf = remembered(declared.labels, (labels) => metric.labels(labels));
      return { add: (amount = 1, labels = {}) => childOf(labels).inc(amount) };
    }
    case "gauge": {
      const metric = new library.Gauge(settings);
      return { set: (value, labels = {}) => metric.set(labels, value) };
    }
    case "histogram": {
      const metric = new library.Histogram({ ...settings, buckets: [...declared.buckets] });
      const childOf = remembered(declared.labels, (labels) => metric.labels(labels));
      return { observe: (value, labels = {}) => childOf(labels).observe(value) };
    }
  }
}

/** The metric of each combination of labels, made once: there are few, and finding one is slow. */
function remembered<Child>(
  names: readonly string[],
  make: (labels: Labels) => Child,
): (labels: Labels) => Child {
  const children = new Map<string, Child>();
  return (labels) => {
    let key = "";
    for (const name of names) key += `${labels[name] ?? ""}\0`;
    let child = children.get(key);
    if (child === undefined) {
      child = make(labels);
      children.set(key, child);
    }
    return child;
  };
}
