import { fileURLToPath } from "node:url";
import { startCommand, type Target } from "./target.ts";

/** The encode-once reflector: what passing on the bytes costs, without a RIB, policy or decision. */
export const floor: Target = {
  name: "floor",
  missing: () => undefined,
  version: () => `node ${process.version}`,
  start: (plan) =>
    startCommand(plan, {
      files: {},
      command: [
        process.execPath,
        fileURLToPath(new URL("../load/floor.ts", import.meta.url)),
        plan.address,
        String(plan.asn),
        String(plan.holdSeconds),
      ],
    }),
};
