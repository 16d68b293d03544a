import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseWepName } from "../../api/names.ts";
import { ipFamily } from "../../lib/ip-addr.ts";
import { hostPrefix } from "../../lib/prefix.ts";
import type { LocalEndpoint } from "../calc/updates.ts";

/**
 * A file for each endpoint whose routes and policy are in the kernel: what upstream's CNI plugin waits
 * for (facts 4.12). Written when it changes, removed with the endpoint.
 */
export class EndpointStatusFiles {
  readonly #folder: string;
  readonly #written = new Map<string, string>();

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
    for (const file of readdirSync(folder)) {
      this.#written.set(file, readFileSync(join(folder, file), "utf8"));
    }
  }

  /** `programmed`: endpoints by id. */
  apply(programmed: ReadonlyMap<string, LocalEndpoint>): void {
    const wanted = new Map(
      [...programmed].map(([id, endpoint]) => [statusFile(id), statusText(endpoint)]),
    );
    for (const [file, text] of wanted) {
      if (this.#written.get(file) === text) continue;
      const next = join(this.#folder, `.${file}.next`);
      writeFileSync(next, text);
      renameSync(next, join(this.#folder, file));
      this.#written.set(file, text);
    }
    for (const file of this.#written.keys()) {
      if (wanted.has(file)) continue;
      rmSync(join(this.#folder, file), { force: true });
      this.#written.delete(file);
    }
  }
}

/** "k8s default%2Fweb-0 eth0": orchestrator, workload and endpoint, escaped as path segments. */
function statusFile(id: string): string {
  const at = id.indexOf("/");
  const namespace = id.slice(0, at);
  const parts = parseWepName(id.slice(at + 1));
  if (parts === undefined) return encodeURIComponent(id);
  const workload = encodeURIComponent(`${namespace}/${parts.workload}`);
  return `${encodeURIComponent(parts.orchestrator)} ${workload} ${encodeURIComponent(parts.endpoint)}`;
}

function statusText({ interfaceName, mac, addresses }: LocalEndpoint): string {
  const nets = (family: 4 | 6) =>
    addresses.filter((address) => ipFamily(address) === family).map(hostPrefix);
  return JSON.stringify({ ifaceName: interfaceName, mac, ipv4Nets: nets(4), ipv6Nets: nets(6) });
}
