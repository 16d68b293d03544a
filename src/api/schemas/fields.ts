import { parseAsn } from "../../lib/asn.ts";
import { parseIpAddr } from "../../lib/ip-addr.ts";
import { parseMac } from "../../lib/mac.ts";
import { parseInterfaceAddress, parsePrefix, prefixOf } from "../../lib/prefix.ts";
import { parseSelector } from "../selector/parser.ts";
import {
  type Check,
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
  return text((value) => {
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
}

/** Labels by Kubernetes' rules for names and values. */
export const labels: Check = (value, path, report) => {
  const result = map(text())(value, path, report);
  for (const [key, given] of Object.entries((result ?? {}) as Record<string, string>)) {
    if (!labelKey.test(key)) refuse(report, path, `${shown(key)} is no label name`);
    if (typeof given === "string" && !labelValue.test(given)) {
      refuse(report, `${path}[${shown(key)}]`, `${shown(given)} is no label value`);
    }
  }
  return result;
};

const annotations: Check = (value, path, report) => {
  const result = map(text())(value, path, report);
  const size = JSON.stringify(result ?? {}).length;
  if (size > maxAnnotationBytes) {
    refuse(report, path, `has ${size} bytes, at most ${maxAnnotationBytes} fit`);
  }
  return result;
};

/** Metadata of an object, as v3 and Kubernetes have it. Which name is right depends on the kind. */
export const metadata: Check = (value, path, report) =>
  object(
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
  )(value, path, report);

/** A CIDR or an address of a rule. The result is its canonical prefix: host bits become zero. */
export const net: Check = (value, path, report) => {
  let prefix: unknown = value;
  text((given) => {
    const { address, length } = parseInterfaceAddress(given);
    prefix = prefixOf(address, length);
  })(value, path, report);
  return prefix;
};

/** A CIDR with its host bits zero. */
export const cidr: Check = text((value) => {
  if (!value.includes("/")) throw new SyntaxError(`must be a CIDR, got ${shown(value)}`);
  parsePrefix(value);
});

export const ipAddress: Check = text(parseIpAddr);

/** "192.168.1.11/24": host bits may be set. */
export const interfaceAddress: Check = text(parseInterfaceAddress);

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

/** 80, "8080:8090" or a named port. */
export const port: Check = numberOr(
  integer(0, 65535),
  text((value) => {
    const range = /^(\d+)(?::(\d+))?$/.exec(value);
    if (range === null) {
      if (/^[a-zA-Z0-9_.-]{1,128}$/.test(value)) return;
      throw new SyntaxError(`must be a port, "min:max" or a port's name, got ${shown(value)}`);
    }
    const [first, last] = [Number(range[1]), Number(range[2] ?? range[1])];
    if (last > 65535 || first > last) {
      throw new SyntaxError(`must be ports from 0 to 65535, got ${shown(value)}`);
    }
  }),
);

export const secretKeyRef: Check = object({
  secretKeyRef: object(
    { name: text(), key: text(), optional: (value) => value },
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
