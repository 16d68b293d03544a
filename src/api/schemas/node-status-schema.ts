import { dnsSubdomain } from "./fields.ts";
import { array, type Check, integer, matching, object, oneOf, refuse, shown } from "./schema.ts";

const maxClasses = 3;
const secondsOfDay = 86400;

const classes = array(oneOf("Agent", "BGP", "Routes"), maxClasses);

/** CalicoNodeStatus.spec (facts 2.8). */
export const calicoNodeStatusSpec: Check = object(
  {
    node: matching(dnsSubdomain, "a node name"),
    classes: (value, path, report) => {
      const result = classes(value, path, report);
      if (!Array.isArray(result)) return result;
      if (result.length === 0) refuse(report, path, "may not be empty");
      const twice = result.find((each, index) => result.indexOf(each) !== index);
      if (twice !== undefined) refuse(report, path, `has ${shown(twice)} twice`);
      return result;
    },
    updatePeriodSeconds: integer(0, secondsOfDay),
  },
  { required: ["node", "classes", "updatePeriodSeconds"] },
);
