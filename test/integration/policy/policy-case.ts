import type { IpFamily } from "../../../src/lib/ip-addr.ts";

/** What a case says, and what packets must do while its manifests are there. */
export interface PolicyCase {
  /** What is promised: a sentence of the specification, or a fact. */
  readonly says: string;
  /** YAML documents. */
  readonly manifests: string;
  /** YAML documents that are stored as they are, as by somebody who validates nothing. */
  readonly stored?: string;
  /** What felix says about it. */
  readonly logs?: RegExp;
  /** Of objects by "Kind/[namespace/]name": fields of the spec that are others, null: it is gone. */
  readonly changes?: Readonly<Record<string, object | null>>;
  /** As test/support/packets/probe-text.ts reads them. */
  readonly passes?: readonly string[];
  readonly drops?: readonly string[];
  /** Both, unless given. */
  readonly families?: readonly IpFamily[];
}
