// How far a transfer is: a bar on a terminal, or a line now and then, always on the error output.

import type { Context } from "./context.js";
import { formatBytes, formatDuration, formatRate, plural } from "./format.js";
import type { Output } from "./output.js";

export interface Progress {
  /** More to do was found. Without `bytes` the amount is not known beforehand (standard input). */
  expect(files: number, bytes: number | undefined): void;
  advance(bytes: number): void;
  fileDone(): void;
  /** Takes the display away. */
  finish(): void;
}

/** What has been counted so far. */
interface Counts {
  filesTotal: number;
  filesDone: number;
  bytesTotal: number;
  bytesDone: number;
  /** The totals say all there is. */
  isBounded: boolean;
}

const PLAIN_PERIOD_MS = 10_000;
const JSON_PERIOD_MS = 1_000;
const BAR_PERIOD_MS = 100;

/** What a long look is at, for people and for programs. */
export interface StatusView {
  readonly text: string;
  readonly value: object;
}

/**
 * Shows on the error output how far something is whose end nobody knows: a line that is replaced on
 * a terminal, a line now and then elsewhere.
 *
 * @returns Takes the display away.
 */
export function startStatus(
  { settings, output }: Pick<Context, "settings" | "output">,
  view: () => StatusView,
): () => void {
  const show: Readonly<Record<typeof settings.progress, (() => void) | undefined>> = {
    none: undefined,
    plain: () => output.progress(view().text),
    json: () => output.progress(JSON.stringify({ progress: view().value })),
    bar: () => {
      const width = Math.max(1, (process.stderr.columns ?? 80) - 1);
      process.stderr.write(`\r\u001b[K${view().text.slice(0, width)}`);
    },
  };
  const shown = show[settings.progress];
  if (shown === undefined) return () => {};
  const periods = { none: 0, plain: PLAIN_PERIOD_MS, json: JSON_PERIOD_MS, bar: BAR_PERIOD_MS };
  const timer = setInterval(shown, periods[settings.progress]);
  timer.unref();
  const isBar = settings.progress === "bar";
  const clear = (): void => void process.stderr.write("\r\u001b[K");
  if (isBar) output.clearLine = clear;
  return () => {
    clearInterval(timer);
    if (!isBar) return;
    clear();
    output.clearLine = undefined;
  };
}

/** Shows progress in the way that was asked for. */
export async function startProgress(
  verb: string,
  { settings, output, clock }: Pick<Context, "settings" | "output" | "clock">,
): Promise<Progress> {
  const counts: Counts = {
    filesTotal: 0,
    filesDone: 0,
    bytesTotal: 0,
    bytesDone: 0,
    isBounded: true,
  };
  const startedMs = clock.monotonicMs();
  const elapsedMs = (): number => clock.monotonicMs() - startedMs;
  switch (settings.progress) {
    case "none":
      return counting(counts, () => {});
    case "plain":
      return every(PLAIN_PERIOD_MS, counts, () =>
        output.progress(`${verb}: ${plainText(counts, elapsedMs())}`),
      );
    case "json":
      return every(JSON_PERIOD_MS, counts, () =>
        output.progress(
          JSON.stringify({ progress: { ...counts, elapsedMs: Math.round(elapsedMs()) } }),
        ),
      );
    case "bar":
      return counting(counts, await showBar(counts, verb, { output, elapsedMs }));
  }
}

/** `12 of 40 files, 1.2 GiB of 3.0 GiB, 210 MiB/s, 9.1 s left`. */
export function plainText(counts: Readonly<Counts>, elapsedMs: number): string {
  const { filesDone, filesTotal, bytesDone, bytesTotal, isBounded } = counts;
  const left =
    isBounded && 0 < bytesDone ? (elapsedMs * (bytesTotal - bytesDone)) / bytesDone : undefined;
  return [
    `${filesDone} of ${plural(filesTotal, "file")}`,
    isBounded ? `${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}` : formatBytes(bytesDone),
    formatRate(bytesDone, elapsedMs),
    ...(left === undefined ? [] : [`${formatDuration(left)} left`]),
  ].join(", ");
}

function counting(counts: Counts, finish: () => void): Progress {
  return {
    expect: (files, bytes) => {
      counts.filesTotal += files;
      counts.bytesTotal += bytes ?? 0;
      if (bytes === undefined) counts.isBounded = false;
    },
    advance: (bytes) => {
      counts.bytesDone += bytes;
    },
    fileDone: () => {
      counts.filesDone++;
    },
    finish,
  };
}

function every(periodMs: number, counts: Counts, show: () => void): Progress {
  const timer = setInterval(show, periodMs);
  timer.unref();
  return counting(counts, () => clearInterval(timer));
}

async function showBar(
  counts: Counts,
  verb: string,
  tools: { readonly output: Output; readonly elapsedMs: () => number },
): Promise<() => void> {
  const { default: cliProgress } = await import("cli-progress");
  const bar = new cliProgress.SingleBar({
    format: `${verb} {bar} {percentage}% | {text}`,
    barsize: 24,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: false,
    gracefulExit: false,
    linewrap: false,
    noTTYOutput: false,
    emptyOnZero: true,
  });
  bar.start(0, 0, { text: "" });
  const draw = (): void => {
    bar.setTotal(counts.isBounded ? counts.bytesTotal : counts.bytesDone);
    bar.update(counts.bytesDone, { text: plainText(counts, tools.elapsedMs()) });
  };
  const timer = setInterval(draw, BAR_PERIOD_MS);
  timer.unref();
  tools.output.clearLine = () => process.stderr.write("\r\u001b[K");
  // Also when the process ends at once: the terminal must get its cursor back.
  const restore = (): void => bar.stop();
  process.once("exit", restore);
  return () => {
    process.off("exit", restore);
    clearInterval(timer);
    bar.stop();
    tools.output.clearLine = undefined;
  };
}
