// Tables for people.

/** Columns without lines around them. */
export async function table(head: readonly string[], rows: readonly string[][]): Promise<string> {
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
