import { dnsSubdomain } from "./fields.ts";
import {
  array,
  type Check,
  distinct,
  integer,
  matching,
  notEmpty,
  object,
  oneOf,
} from "./schema.ts";

const maxClasses = 3;
const secondsOfDay = 86400;

/** CalicoNodeStatus.spec (facts 2.8). */
export const calicoNodeStatusSpec: Check = object(
  {
    node: matching(dnsSubdomain, "a node name"),
    classes: distinct(notEmpty(array(oneOf("Agent", "BGP", "Routes"), maxClasses))),
    updatePeriodSeconds: integer(0, secondsOfDay),
  },
  { required: ["node", "classes", "updatePeriodSeconds"] },
);
