import { errorMessage } from "../lib/errors.ts";
import { type LineClient, serveLines } from "../lib/line-server.ts";
import type { CheckRequest, PathReport } from "./run-check.ts";

/**
 * A client writes {"request": "check-paths", ...CheckRequest} as a line and reads {"row": PathReport},
 * then {"end": true}; or {"error": "why not"}.
 */
export type PathsRequest = CheckRequest & { readonly request: "check-paths" };

/** Names of nodes on one command line. */
const maxRequestLength = 64 << 10;
const maxSample = 100;

/** Where path checks are asked for, for the daemon and for those who ask. */
export function pathsControlPath(env: Readonly<Record<string, string | undefined>>): string {
  return `${env["TORTIE_RUN_DIR"] || "/var/run/calico/tortie"}/paths.sock`;
}

export function servePathChecks(
  path: string,
  check: (request: CheckRequest, signal: AbortSignal) => Promise<PathReport>,
  signal: AbortSignal,
): Promise<void> {
  const line = async (text: string, client: LineClient) => {
    const request = parsed(text);
    if (request === undefined) {
      await client.write(lineOf({ error: `Cannot answer "${text.slice(0, 100)}"` }));
      return;
    }
    try {
      const row = await check(request, AbortSignal.any([signal, client.signal]));
      await client.write(`${lineOf({ row })}${lineOf({ end: true })}`);
    } catch (error) {
      await client.write(lineOf({ error: errorMessage(error) }));
    }
  };
  return serveLines({ path, maxLength: maxRequestLength }, { line }, signal);
}

function parsed(text: string): CheckRequest | undefined {
  let given: Partial<PathsRequest>;
  try {
    given = JSON.parse(text) as Partial<PathsRequest>;
  } catch {
    return undefined;
  }
  const { request, nodes, samplePeers, throughput, dryRun } = given;
  if (request !== "check-paths") return undefined;
  if (nodes !== undefined && !(Array.isArray(nodes) && nodes.every(isText))) return undefined;
  if (samplePeers !== undefined && !(samplePeers >= 1 && samplePeers <= maxSample))
    return undefined;
  return {
    throughput: throughput !== false,
    dryRun: dryRun === true,
    ...(nodes === undefined ? {} : { nodes }),
    ...(samplePeers === undefined ? {} : { samplePeers }),
  };
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function lineOf(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
