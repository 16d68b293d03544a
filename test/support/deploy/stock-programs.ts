import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Links to `bin/stock`, as the image has them, and folders to install into. */
export class StockPrograms {
  readonly #folder = mkdtempSync(join(tmpdir(), "tortie-stock-"));
  readonly #places = {
    "--net-dir": join(this.#folder, "net"),
    "--bin-dir": join(this.#folder, "bin"),
  };

  constructor() {
    for (const place of Object.values(this.#places)) mkdirSync(place);
  }

  get folders(): string {
    return Object.entries(this.#places).flat().join(" ");
  }

  link(name: string): string {
    const path = join(this.#folder, name);
    const target = fileURLToPath(new URL("../../../bin/stock", import.meta.url));
    if (!existsSync(path)) symlinkSync(target, path);
    return path;
  }

  installed(): string[] {
    const { "--net-dir": net, "--bin-dir": bin } = this.#places;
    const own = readdirSync(bin).filter((name) => name.startsWith("calico"));
    return [...readdirSync(net), ...own];
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }
}
