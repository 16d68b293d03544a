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
  /** What the files are of. Undefined: some may not be right. */
  #told: ReadonlyMap<string, LocalEndpoint> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
    for (const file of readdirSync(folder)) {
      this.#written.set(file, readFileSync(join(folder, file), "utf8"));
    }
  }

  /** `programmed`: endpoints by id. */
  apply(programmed: ReadonlyMap<string, LocalEndpoint>): void {
    const told = this.#told;
    this.#told = undefined;
    const gone = told && [...told.keys()].filter((id) => !programmed.has(id));
    for (const file of gone?.map(statusFile) ?? []) this.#remove(file);
    for (const [id, endpoint] of programmed) {
      if (told?.get(id) !== endpoint) this.#write(statusFile(id), statusText(endpoint));
    }
    if (told === undefined) {
      const wanted = new Set([...programmed.keys()].map(statusFile));
      for (const file of this.#written.keys()) if (!wanted.has(file)) this.#remove(file);
    }
    this.#told = programmed;
  }

  #write(file: string, text: string): void {
    if (this.#written.get(file) === text) return;
    const next = join(this.#folder, `.${file}.next`);
    writeFileSync(next, text);
    renameSync(next, join(this.#folder, file));
    this.#written.set(file, text);
  }

  #remove(file: string): void {
    rmSync(join(this.#folder, file), { force: true });
    this.#written.delete(file);
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
