import { parsePrefix, prefixesOverlap, prefixFamily, prefixLength } from "../../lib/prefix.ts";
import type { IPPoolSpec } from "../resources/ip-pool.ts";
import { cidr, selector } from "./fields.ts";
import {
  array,
  boolean,
  type Check,
  distinct,
  integer,
  object,
  oneOf,
  type Report,
  refuse,
} from "./schema.ts";

/** Prefix lengths that a block may have, by family. */
const blockSizes = {
  4: { min: 20, max: 32, default: 26 },
  6: { min: 116, max: 128, default: 122 },
};

const linkLocal = [parsePrefix("169.254.0.0/16"), parsePrefix("fe80::/10")];

const encapMode = oneOf("Never", "Always", "CrossSubnet");

/** IPPool.spec (facts 2.3). */
export const ipPoolSpec: Check = object(
  {
    cidr,
    blockSize: integer(0, 128),
    ipipMode: encapMode,
    vxlanMode: encapMode,
    natOutgoing: boolean,
    disabled: boolean,
    disableBGPExport: boolean,
    nodeSelector: selector(),
    namespaceSelector: selector(),
    allowedUses: distinct(array(oneOf("Workload", "Tunnel", "LoadBalancer"))),
    assignmentMode: oneOf("Automatic", "Manual"),
  },
  {
    required: ["cidr"],
    refine: (value, path, report) => {
      const spec = value as unknown as IPPoolSpec;
      checkCidr(spec, path, report);
      checkEncapsulation(spec, path, report);
      checkUses(spec, path, report);
    },
  },
);

/** The block size of a pool that does not say. */
export function defaultBlockSize(poolCidr: string): number {
  return blockSizes[prefixFamily(parsePrefix(poolCidr))].default;
}

function checkCidr(spec: IPPoolSpec, path: string, report: Report): void {
  const prefix = parsePrefix(spec.cidr);
  const family = prefixFamily(prefix);
  const { min, max } = blockSizes[family];
  const blockSize = spec.blockSize ?? blockSizes[family].default;
  if (blockSize < min || blockSize > max) {
    refuse(
      report,
      `${path}.blockSize`,
      `must be ${min} to ${max} for IPv${family}, got ${blockSize}`,
    );
  } else if (prefixLength(prefix) > blockSize && spec.disabled !== true) {
    refuse(report, `${path}.cidr`, `is smaller than one block (/${blockSize}), got "${prefix}"`);
  }
  const reserved = linkLocal.find((range) => prefixesOverlap(range, prefix));
  if (reserved !== undefined) {
    refuse(report, `${path}.cidr`, `overlaps the link-local range ${reserved}, got "${prefix}"`);
  }
}

function checkEncapsulation(spec: IPPoolSpec, path: string, report: Report): void {
  const { ipipMode = "Never", vxlanMode = "Never" } = spec;
  if (ipipMode === "Never") return;
  if (prefixFamily(parsePrefix(spec.cidr)) === 6) {
    refuse(report, `${path}.ipipMode`, `must be Never for IPv6, got "${ipipMode}"`);
  } else if (vxlanMode !== "Never") {
    refuse(
      report,
      `${path}.ipipMode`,
      `and vxlanMode exclude each other, got "${ipipMode}" and "${vxlanMode}"`,
    );
  }
}

function checkUses(spec: IPPoolSpec, path: string, report: Report): void {
  const { allowedUses = [], namespaceSelector = "" } = spec;
  if (namespaceSelector !== "" && allowedUses.includes("Tunnel")) {
    refuse(report, `${path}.namespaceSelector`, "may not be given when allowedUses has Tunnel");
  }
  if (!allowedUses.includes("LoadBalancer")) return;
  if (allowedUses.length > 1) {
    refuse(report, `${path}.allowedUses`, "has LoadBalancer, which must be alone");
  }
  if ((spec.ipipMode ?? "Never") !== "Never" || (spec.vxlanMode ?? "Never") !== "Never") {
    refuse(
      report,
      `${path}.allowedUses`,
      "has LoadBalancer, which needs a pool without encapsulation",
    );
  }
  if (spec.disableBGPExport === true) {
    refuse(report, `${path}.disableBGPExport`, "may not be true when allowedUses has LoadBalancer");
  }
  if (!["", "all()"].includes(spec.nodeSelector ?? "")) {
    refuse(report, `${path}.nodeSelector`, "must be all() when allowedUses has LoadBalancer");
  }
}
