import { cidr, net } from "./fields.ts";
import {
  anything,
  array,
  boolean,
  type Check,
  described,
  integer,
  isObject,
  map,
  mustBe,
  object,
  oneOf,
  refuse,
  serverSchema,
  text,
} from "./schema.ts";

/** IPAM kinds (facts 2.3). What IPAM alone writes is checked for its shape only. */

const maxBlocksPerHost = 1_000_000;
const maxCooldownSeconds = 1200;

export const ipamConfigurationSpec: Check = object(
  {
    strictAffinity: boolean,
    autoAllocateBlocks: boolean,
    maxBlocksPerHost: integer(0, maxBlocksPerHost),
    kubeVirtVMAddressPersistence: oneOf("Enabled", "Disabled"),
    ipCooldownSeconds: integer(0, maxCooldownSeconds),
  },
  {
    refine: (value, path, report) => {
      const strict = value["strictAffinity"] === true;
      if (!strict && value["autoAllocateBlocks"] === false) {
        refuse(
          report,
          `${path}.autoAllocateBlocks`,
          "may be false only when strictAffinity is true",
        );
      }
      if (!strict && Number(value["maxBlocksPerHost"] ?? 0) > 0) {
        refuse(
          report,
          `${path}.maxBlocksPerHost`,
          "may be above 0 only when strictAffinity is true",
        );
      }
    },
  },
);

/** A number, or a bigint where a number cannot hold it. */
const uint64 = described({ type: "integer", format: "int64" }, (value, path, report) => {
  if (typeof value === "bigint") return value;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  mustBe(report, path, "an integer", value);
  return value;
});

/** null is a free address here, so these are not checked as fields are. */
const allocationsSchema = { type: "array", items: { type: "integer", nullable: true } };
const allocations = described(allocationsSchema, (value, path, report) => {
  if (Array.isArray(value) && value.every((item) => item === null || Number.isInteger(item))) {
    return value;
  }
  mustBe(report, path, "an array of integers and nulls", value);
  return value;
});

const time = described({ type: "string", format: "date-time" }, text());
const texts = map(text());
const attributeSchema = serverSchema(
  object({ handle_id: text(), secondary: texts, alternateOwnerAttrs: texts, releasedAt: time }),
);
const attribute = described(attributeSchema, (value, path, report) => {
  if (!isObject(value)) mustBe(report, path, "an object", value);
  return value;
});

export const ipamBlockSpec: Check = object(
  {
    cidr,
    affinity: text(),
    affinityClaimTime: time,
    allocations,
    unallocated: array(integer(0, Number.MAX_SAFE_INTEGER)),
    attributes: array(attribute),
    sequenceNumber: uint64,
    sequenceNumberForAllocation: map(uint64),
    deleted: boolean,
    strictAffinity: boolean,
  },
  { required: ["cidr", "allocations", "unallocated", "attributes"] },
);

/** `deleted` is a boolean in v3 and the text of one in crd.projectcalico.org/v1. */
const deletedText: Check = (value) => value === true || value === "true";

export const blockAffinitySpec: Check = object(
  {
    state: oneOf("pending", "confirmed", "pendingDeletion", ""),
    node: text(),
    type: oneOf("host", "virtual"),
    cidr,
    deleted: deletedText,
  },
  { required: ["node", "cidr"] },
);

export const ipamHandleSpec: Check = object(
  { handleID: text(), block: map(integer(0, Number.MAX_SAFE_INTEGER)), deleted: boolean },
  { required: ["handleID", "block"] },
);

export const clusterInformationSpec: Check = object({
  clusterGUID: text(),
  clusterType: text(),
  calicoVersion: text(),
  datastoreReady: boolean,
  variant: text(),
  cnxVersion: anything,
});

/** IPReservation.spec: CIDRs and addresses. */
export const ipReservationSpec: Check = object({ reservedCIDRs: array(net) });
