// Numbers, times and names for people.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** `1536` → `1.5 KiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (1024 <= value && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || 100 <= value ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** `1234567` → `1,234,567`. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `61500` → `1m 02s`; below a minute with one decimal; below a second in milliseconds. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  const rest = String(seconds % 60).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes}m ${rest}s` : `${Math.floor(minutes / 60)}h ${minutes % 60}m`;
}

/** How long something is kept: `604800000` → `7d`, `129600000` → `1d 12h`. */
export function formatLifetime(ms: number): string {
  const [day, hour] = [86_400_000, 3_600_000];
  if (ms < day) return formatDuration(ms);
  const hours = Math.round((ms % day) / hour);
  const days = Math.floor(ms / day);
  return hours === 0 || hours === 24 ? `${days + Number(hours === 24)}d` : `${days}d ${hours}h`;
}

/** Bytes per second of a transfer, for people. */
export function formatRate(bytes: number, ms: number): string {
  return `${formatBytes(ms <= 0 ? 0 : (bytes * 1_000) / ms)}/s`;
}

/** `1 file`, `2 files`. */
export function plural(count: number, noun: string): string {
  if (count === 1) return `1 ${noun}`;
  return `${formatCount(count)} ${noun.endsWith("y") ? `${noun.slice(0, -1)}ies` : `${noun}s`}`;
}

/**
 * Text on one line that cannot steer a terminal: names may hold line ends and escape codes. They
 * become `\\n`, `\\x1b`; `--json` has them exactly.
 */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => {
    const code = character.charCodeAt(0);
    return code === 10 ? "\\n" : `\\x${code.toString(16).padStart(2, "0")}`;
  });
}
