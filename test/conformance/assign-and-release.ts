import { isDatastoreError } from "../../src/datastore/datastore.ts";
import { openDatastore } from "../../src/datastore/open-datastore.ts";
import { Ipam } from "../../src/ipam/ipam.ts";
import { systemClock } from "../../src/lib/clock.ts";

/**
 * Assigns addresses, and releases every third, until it is killed: NODE ID. It says "held HANDLE ADDRESS"
 * after, and "releasing HANDLE" before.
 */
const [node = "", id = ""] = process.argv.slice(2);
const datastore = await openDatastore(process.env);
const ipam = new Ipam({ datastore, clock: systemClock, random: Math.random });
for (let count = 0; ; count++) {
  const handle = `k8s-pod-network.${id}-${count}`;
  const attributes = { node, pod: `${id}-${count}`, namespace: "default" };
  try {
    const [assigned] = await ipam.autoAssign({
      node,
      handle,
      attributes,
      use: "Workload",
      num4: 1,
    });
    await say(`held ${handle} ${assigned?.address}`);
    if (count % 3 !== 2) continue;
    await say(`releasing ${handle}`);
    await ipam.releaseByHandle(handle);
  } catch (error) {
    // Its server is busy: what was not certain stays open, as after a crash.
    if (!isDatastoreError(error, "unavailable")) throw error;
  }
}

/** Done when the kernel has the line: what waits in this process is lost when it is killed. */
function say(line: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(`${line}\n`, () => resolve()));
}
