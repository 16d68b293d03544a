/** Spaces between columns, as tables of calicoctl have them. */
const gap = 3;

/** Rows as aligned text; the first is the heading. Cells cannot move the cursor or start a line. */
export function tableText(rows: readonly (readonly string[])[]): string {
  return rows.map((row) => rowText(row, widthsOf(rows))).join("");
}

/** Width of each column, without its gap. */
export function widthsOf(rows: readonly (readonly string[])[]): readonly number[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) {
      widths[index] = Math.max(widths[index] ?? 0, cell.length);
    }
  }
  return widths;
}

/** One line. A cell wider than its column pushes the rest aside. */
export function rowText(row: readonly string[], widths: readonly number[]): string {
  const cells = row.map((cell, index) => {
    const width = Math.max(widths[index] ?? 0, cell.length);
    return printable(cell).padEnd(width + gap);
  });
  return `${cells.join("").trimEnd()}\n`;
}

function printable(cell: string): string {
  return cell.replaceAll(/\p{Cc}/gu, " ");
}
