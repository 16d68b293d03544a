import type { IpFamily } from "../../lib/ip-addr.ts";
import type { BGPFilterRule } from "../resources/bgp-filter.ts";
import { asNumber, cidrOf } from "./fields.ts";
import {
  array,
  type Check,
  described,
  integer,
  matching,
  notEmpty,
  object,
  oneOf,
  type Report,
  refuse,
  shown,
  text,
} from "./schema.ts";

const maxOperations = 10;
const maxPrepended = 10;
const priority = integer(1, 2147483646);

/** "64512:1" of 16 bits each, or "64512:1:2" of 32 bits each, without leading zeros. */
const communityValue: Check = text((value) => {
  const parts = value.split(":");
  const most = parts.length === 2 ? 0xffff : 0xffffffff;
  const valid = parts.every((part) => /^(0|[1-9]\d{0,9})$/.test(part) && Number(part) <= most);
  if ((parts.length !== 2 && parts.length !== 3) || !valid) {
    throw new SyntaxError(`must be aa:nn or aa:nn:mm, got ${shown(value)}`);
  }
});

const operation: Check = object(
  {
    addCommunity: object({ value: communityValue }, { required: ["value"] }),
    prependASPath: object(
      { prefix: notEmpty(array(asNumber, maxPrepended)) },
      { required: ["prefix"] },
    ),
    setPriority: object({ value: priority }, { required: ["value"] }),
  },
  {
    refine: (value, path, report) => {
      if (Object.keys(value).length === 1) return;
      refuse(report, path, "must be exactly one of addCommunity, prependASPath and setPriority");
    },
  },
);

/** BGPFilter.spec (facts 5.9). */
export const bgpFilterSpec: Check = object({
  exportV4: array(rule(4, "export")),
  importV4: array(rule(4, "import")),
  exportV6: array(rule(6, "export")),
  importV6: array(rule(6, "import")),
});

function rule(family: IpFamily, direction: "import" | "export"): Check {
  const length = integer(0, family === 4 ? 32 : 128);
  return object(
    {
      cidr: orEmpty(cidrOf(family)),
      matchOperator: orEmpty(oneOf("Equal", "NotEqual", "In", "NotIn")),
      prefixLength: object({ min: length, max: length }),
      source: orEmpty(oneOf("RemotePeers")),
      interface: orEmpty(
        matching(/^[a-zA-Z0-9_.*-]{1,15}$/, "an interface name, in which * may stand for anything"),
      ),
      peerType: orEmpty(oneOf("eBGP", "iBGP")),
      communities: object({ values: exactlyOne(communityValue) }, { required: ["values"] }),
      asPathPrefix: array(asNumber),
      priority,
      action: oneOf("Accept", "Reject"),
      operations: array(operation, maxOperations),
    },
    {
      required: ["action"],
      refine: (value, path, report) =>
        checkRule(value as unknown as BGPFilterRule, { path, report, direction }),
    },
  );
}

function checkRule(
  given: BGPFilterRule,
  at: {
    readonly path: string;
    readonly report: Report;
    readonly direction: "import" | "export";
  },
): void {
  const { path, report, direction } = at;
  const { cidr = "", matchOperator = "", source = "", operations = [] } = given;
  if (cidr !== "" && matchOperator === "") {
    refuse(report, `${path}.matchOperator`, "is required with cidr");
  }
  if (cidr === "" && matchOperator !== "") {
    refuse(report, `${path}.cidr`, "is required with matchOperator");
  }
  if (cidr === "" && given.prefixLength !== undefined) {
    refuse(report, `${path}.cidr`, "is required with prefixLength");
  }
  if (direction === "import" && source !== "") {
    refuse(report, `${path}.source`, "may only be in export rules");
  }
  if (operations.length > 0 && given.action !== "Accept") {
    refuse(report, `${path}.operations`, "may only be given with action Accept");
  }
}

/** Some clients write an absent text as "". */
function orEmpty(check: Check): Check {
  const { enum: values } = check.schema ?? {};
  const schema = Array.isArray(values) ? { ...check.schema, enum: ["", ...values] } : check.schema;
  return described({ ...schema }, (value, path, report) =>
    value === "" ? value : check(value, path, report),
  );
}

function exactlyOne(item: Check): Check {
  const items = array(item);
  return described({ ...items.schema, minItems: 1, maxItems: 1 }, (value, path, report) => {
    const result = items(value, path, report);
    if (Array.isArray(result) && result.length !== 1) {
      refuse(report, path, `must have exactly one item, has ${result.length}`);
    }
    return result;
  });
}
