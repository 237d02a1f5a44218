// Tables for people.

/**
 * Columns without lines around them. Where they do not fit, each row becomes a block of lines, with
 * the heads in front.
 *
 * @param width  Columns of the terminal; undefined if there is none.
 */
export async function table(
  head: readonly string[],
  rows: readonly string[][],
  width = process.stdout.isTTY ? process.stdout.columns : undefined,
): Promise<string> {
  const drawn = await drawColumns(head, rows);
  const longest = Math.max(...drawn.split("\n").map((line) => line.length));
  if (width === undefined || longest <= width) return drawn;
  return blocks(head, rows);
}

/** What a row has no value for is left out. */
function blocks(head: readonly string[], rows: readonly string[][]): string {
  const indent = Math.max(...head.map((name) => name.length)) + 2;
  const lines = rows.map((row) =>
    row
      .flatMap((value, i) => (value === "" ? [] : [`${(head[i] ?? "").padEnd(indent)}${value}`]))
      .join("\n"),
  );
  return lines.length === 0 ? head.join(" ") : lines.join("\n\n");
}

async function drawColumns(head: readonly string[], rows: readonly string[][]): Promise<string> {
  const { default: Table } = await import("cli-table3");
  const none = Object.fromEntries(
    [
      ...["top", "top-mid", "top-left", "top-right", "bottom", "bottom-mid", "bottom-left"],
      ...["bottom-right", "left", "left-mid", "mid", "mid-mid", "right", "right-mid"],
    ].map((name) => [name, ""]),
  );
  const drawn = new Table({
    head: [...head],
    chars: { ...none, middle: "  " },
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
  drawn.push(...rows);
  return drawn
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}
