import { parseAsn } from "../../lib/asn.ts";
import { type IpFamily, ipFamily, parseIpAddr } from "../../lib/ip-addr.ts";
import { parseMac } from "../../lib/mac.ts";
import { parseInterfaceAddress, parsePrefix, prefixFamily, prefixOf } from "../../lib/prefix.ts";
import { parseSelector } from "../selector/parser.ts";
import {
  boolean,
  type Check,
  described,
  integer,
  map,
  matching,
  numberOr,
  object,
  oneOf,
  refuse,
  shown,
  text,
} from "./schema.ts";

/** Fields that many kinds share (facts 2.8, "Common validators"). */

/** Longest selector, except where facts 2.5 says otherwise. */
const maxSelectorLength = 1024;

/** Bytes of all annotations together. */
const maxAnnotationBytes = 256 * 1024;

const label = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?";
const subdomain = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
export const dnsLabel: RegExp = new RegExp(`^${label}$`);
export const dnsSubdomain: RegExp = new RegExp(`^(?=.{1,253}$)${subdomain}$`);
/** NetworkPolicy and GlobalNetworkPolicy: "name", or "tier.name" as older releases wrote. */
export const policyName: RegExp = new RegExp(`^${label}(\\.${label})?$`);
/** NetworkPolicies that came from Kubernetes or OpenStack. */
export const convertedPolicyName: RegExp = new RegExp(
  `^(?=.{1,253}$)(knp|ossg)\\.default\\.${subdomain}$`,
);

const labelKey =
  /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

/** The name of a label, where it is a value. */
export const labelKeyOnly: Check = matching(labelKey, "a label name");

/** The value of a label. */
export const labelValueOnly: Check = matching(labelValue, "a label value");

/** A selector of this form, of at most 1024 characters, without `global()` unless allowed. */
export function selector(options: { readonly global?: boolean } = {}): Check {
  const check = text((value) => {
    if (value.length > maxSelectorLength) {
      throw new SyntaxError(`has ${value.length} characters, at most ${maxSelectorLength} fit`);
    }
    parseSelector(value);
    if (options.global !== true && /\bglobal\(/.test(value)) {
      throw new SyntaxError(
        "may not use global(): only the namespaceSelector of a rule's source or destination may",
      );
    }
  });
  return described({ type: "string", maxLength: maxSelectorLength }, check);
}

const texts = map(text());

/** Labels by Kubernetes' rules for names and values. */
export const labels: Check = described({ ...texts.schema }, (value, path, report) => {
  const result = texts(value, path, report);
  const given = (result ?? {}) as Record<string, string>;
  for (const key of Object.keys(given)) {
    const labelText = given[key];
    if (!labelKey.test(key)) refuse(report, path, `${shown(key)} is no label name`);
    if (typeof labelText === "string" && !labelValue.test(labelText)) {
      refuse(report, `${path}[${shown(key)}]`, `${shown(labelText)} is no label value`);
    }
  }
  return result;
});

const annotations: Check = (value, path, report) => {
  const result = texts(value, path, report);
  const bytes = (part: string) => new TextEncoder().encode(part).length;
  const size = Object.entries((result ?? {}) as Record<string, string>).reduce(
    (sum, [name, given]) => sum + bytes(name) + bytes(String(given)),
    0,
  );
  if (size > maxAnnotationBytes) {
    refuse(report, path, `has ${size} bytes, at most ${maxAnnotationBytes} fit`);
  }
  return result;
};

const metadataFields = object(
  {
    name: text(),
    namespace: matching(dnsLabel, "a DNS label (lower case, digits, -)"),
    labels,
    annotations,
    resourceVersion: text(),
    uid: text(),
    creationTimestamp: text(),
    generateName: text(),
    generation: integer(0, Number.MAX_SAFE_INTEGER),
    deletionTimestamp: text(),
    deletionGracePeriodSeconds: integer(0, Number.MAX_SAFE_INTEGER),
    selfLink: text(),
    finalizers: (given) => given,
    ownerReferences: (given) => given,
    managedFields: (given) => given,
  },
  { required: ["name"] },
);

/**
 * Metadata of an object, as v3 and Kubernetes have it. Which name is right depends on the kind. An API
 * server has its own schema of it.
 */
export const metadata: Check = (value, path, report) => metadataFields(value, path, report);

const anyNet = text(parseInterfaceAddress);

/** A CIDR or an address of a rule. The result is its canonical prefix: host bits become zero. */
export const net: Check = described({ type: "string" }, (value, path, report) => {
  const before = report.problems.length;
  anyNet(value, path, report);
  if (report.problems.length > before) return value;
  const { address, length } = parseInterfaceAddress(value as string);
  return prefixOf(address, length);
});

/** A CIDR with its host bits zero. */
export const cidr: Check = text((value) => {
  if (!value.includes("/")) throw new SyntaxError(`must be a CIDR, got ${shown(value)}`);
  parsePrefix(value);
});

export const ipAddress: Check = text(parseIpAddr);

/** An address of this family. */
export function ipAddressOf(family: IpFamily): Check {
  return text((value) => {
    if (ipFamily(parseIpAddr(value)) !== family) {
      throw new SyntaxError(`must be an IPv${family} address, got ${shown(value)}`);
    }
  });
}

/** "192.168.1.11/24" of this family: host bits may be set. */
export function interfaceAddressOf(family: IpFamily): Check {
  return text((value) => {
    if (ipFamily(parseInterfaceAddress(value).address) !== family) {
      throw new SyntaxError(`must be an IPv${family} address with a length, got ${shown(value)}`);
    }
  });
}

/** A CIDR of this family with its host bits zero. */
export function cidrOf(family: IpFamily): Check {
  return text((value) => {
    if (!value.includes("/")) throw new SyntaxError(`must be a CIDR, got ${shown(value)}`);
    if (prefixFamily(parsePrefix(value)) === family) return;
    throw new SyntaxError(`must be an IPv${family} CIDR, got ${shown(value)}`);
  });
}

export const macAddress: Check = text(parseMac);

export const asNumber: Check = numberOr(integer(0, 0xffffffff), text(parseAsn));

/** "90s", "1m30s", as Go writes durations. */
export const duration: Check = matching(
  /^(0|([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+)$/,
  'a duration such as "90s" or "1m30s"',
);

export const interfaceName: Check = matching(
  /^[a-zA-Z0-9_.-]{1,15}$/,
  "an interface name of at most 15 characters",
);

/** Facts 2.5. */
export const protocol: Check = numberOr(
  integer(1, 255),
  oneOf("TCP", "UDP", "ICMP", "ICMPv6", "SCTP", "UDPLite"),
);

const namedPort = /^[a-zA-Z0-9_.-]{1,128}$/;

/** The name of a port. */
export const portName: Check = matching(namedPort, "the name of a port");

/** 80, "8080:8090" or a named port. */
export const port: Check = numberOr(
  integer(0, 65535),
  text((value) => {
    if (isPortRange(value) || namedPort.test(value)) return;
    throw new SyntaxError(`must be a port, "min:max" or a port's name, got ${shown(value)}`);
  }),
);

/** 80 or "8080:8090". */
export const numericPort: Check = numberOr(
  integer(0, 65535),
  text((value) => {
    if (isPortRange(value)) return;
    throw new SyntaxError(`must be a port or "min:max", got ${shown(value)}`);
  }),
);

/** @throws {SyntaxError} for a range that has no ports. */
function isPortRange(value: string): boolean {
  const range = /^(\d+)(?::(\d+))?$/.exec(value);
  if (range === null) return false;
  const [first, last] = [Number(range[1]), Number(range[2] ?? range[1])];
  if (last <= 65535 && first <= last) return true;
  throw new SyntaxError(`must be ports from 0 to 65535, got ${shown(value)}`);
}

export const secretKeyRef: Check = object({
  secretKeyRef: object(
    { name: text(), key: text(), optional: boolean },
    { required: ["name", "key"] },
  ),
});

/** How much a part logs. */
export const logSeverity: Check = oneOf(
  "None",
  "Trace",
  "Debug",
  "Info",
  "Warning",
  "Error",
  "Fatal",
);
