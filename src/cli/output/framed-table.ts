/** Longest line of a cell; longer ones are broken between words. */
const maxCellWidth = 30;

/** A table in a frame with a heading in capitals, as calicoctl prints those of `node status`. */
export function framedTable(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const cells = rows.map((row) => row.map((cell) => wrapped(cell)));
  const widths = heading.map((name, column) =>
    Math.max(
      name.length,
      ...cells.flatMap((row) => (row[column] ?? []).map((line) => line.length)),
    ),
  );
  const rule = `+${widths.map((width) => "-".repeat(width + 2)).join("+")}+\n`;
  const line = (texts: readonly string[]) => `| ${texts.join(" | ")} |\n`;
  const title = heading.map((name, column) => centered(name.toUpperCase(), widths[column] ?? 0));
  const body = cells.flatMap((row) => {
    const height = Math.max(...row.map((lines) => lines.length));
    return Array.from({ length: height }, (_, at) =>
      line(row.map((lines, column) => (lines[at] ?? "").padEnd(widths[column] ?? 0))),
    );
  });
  return `${rule}${line(title)}${rule}${body.join("")}${rule}`;
}

function centered(text: string, width: number): string {
  return text.padStart(text.length + Math.floor((width - text.length) / 2)).padEnd(width);
}

function wrapped(cell: string): readonly string[] {
  const lines: string[] = [""];
  for (const word of cell.replaceAll(/\p{Cc}/gu, " ").split(" ")) {
    const last = lines.at(-1) as string;
    const longer = last === "" ? word : `${last} ${word}`;
    if (last === "" || longer.length <= maxCellWidth) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
