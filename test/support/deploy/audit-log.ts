import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What somebody asked of the API server, and how that ended. */
export interface AuditEvent {
  readonly user: string;
  readonly verb: string;
  /** "" is the core group. */
  readonly group: string;
  /** With its subresource: "pods/status". */
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
  /** HTTP status. */
  readonly code: number;
}

interface Line {
  readonly user: { readonly username: string };
  readonly verb: string;
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number };
}

/** The audit log of an API server that was started with its `flags`. */
export class AuditLog {
  readonly #folder = mkdtempSync(join(tmpdir(), "tortie-audit-"));
  readonly #log = join(this.#folder, "audit.log");
  readonly flags: readonly string[];

  constructor() {
    const policy = join(this.#folder, "policy.yaml");
    const content = {
      apiVersion: "audit.k8s.io/v1",
      kind: "Policy",
      omitStages: ["RequestReceived"],
      rules: [{ level: "Metadata", userGroups: ["system:serviceaccounts"] }, { level: "None" }],
    };
    writeFileSync(policy, JSON.stringify(content));
    this.flags = [
      `--audit-policy-file=${policy}`,
      `--audit-log-path=${this.#log}`,
      // A request is in the log before it is answered.
      "--audit-log-mode=blocking-strict",
    ];
  }

  /** All so far. A watch is there once it has begun, and again when it has ended. */
  read(): AuditEvent[] {
    return readFileSync(this.#log, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => eventOf(JSON.parse(line) as Line));
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function eventOf({ user, verb, objectRef = {}, responseStatus = {} }: Line): AuditEvent {
  const { apiGroup = "", resource = "", subresource, namespace = "", name = "" } = objectRef;
  return {
    user: user.username,
    verb,
    group: apiGroup,
    resource: subresource === undefined ? resource : `${resource}/${subresource}`,
    namespace,
    name,
    code: responseStatus.code ?? 0,
  };
}
