import { test } from "node:test";
import { TestLab } from "../support/lab.ts";
import { labUp, podsComeAndGo } from "./lab-churn.ts";

/** Pods that come and go while felix is killed leave nothing, and no two have one address. */
const labs = [
  ["200 pods, embedded", "embedded", { pods: 200, atOnce: 16, podsPerKill: 20 }],
  ["60 pods, etcd", "etcdv3", { pods: 60, atOnce: 12, podsPerKill: 10 }],
] as const;

for (const [what, datastore, churn] of labs) {
  test(`pods that come and go while felix is killed: ${what}`, async () => {
    const lab = new TestLab(`gl${datastore.slice(0, 2)}`);
    try {
      await labUp(lab, "--datastore", datastore);
      await podsComeAndGo(lab, churn);
    } finally {
      await lab.down();
    }
  });
}
