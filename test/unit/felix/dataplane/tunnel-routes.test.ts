import assert from "node:assert/strict";
import { test } from "node:test";
import { replaceRoutes } from "../../../../src/felix/dataplane/tunnel-routes.ts";
import type { KernelRoute } from "../../../../src/kernel/kernel.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";

const route = (destination: string, gateway: string): KernelRoute => ({
  table: 254,
  destination: parsePrefix(destination),
  priority: 1024,
  kind: "unicast",
  scope: "universe",
  protocol: 3,
  ifindex: 7,
  gateway: parseIpAddr(gateway),
  onlink: true,
});

const inside = route("fd00:10::40/122", "fd00:10::40");
const outside = route("fd00:10::80/122", "2001:db8::2");

/** Does as Linux: refuses a gateway in its own block while nothing else leads there. */
class Table {
  readonly asked: string[] = [];
  readonly #led = new Set<string>();

  replace = async (routes: readonly KernelRoute[]) => {
    this.asked.push(`replace ${routes.map(({ destination }) => destination).join(" ")}`);
    for (const { destination } of routes) {
      if (destination.endsWith("/128")) this.#led.add(destination);
    }
    const refused = routes.filter(
      ({ destination, gateway }) =>
        destination === inside.destination && !this.#led.has(`${gateway}/128`),
    );
    return refused.map((entry) => ({ entry, errno: 22, message: "device mismatch" }));
  };

  remove = async (routes: readonly KernelRoute[]) => {
    this.asked.push(`remove ${routes.map(({ destination }) => destination).join(" ")}`);
    return [];
  };
}

test("a block whose gateway lies in it is led to by a route to the gateway alone", async () => {
  const table = new Table();
  assert.deepEqual(await replaceRoutes([outside, inside], table), []);
  assert.deepEqual(table.asked, [
    "replace fd00:10::80/122 fd00:10::40/122",
    "replace fd00:10::40/128",
    "replace fd00:10::40/122",
    "remove fd00:10::40/128",
  ]);
});

test("what the kernel refuses for another reason has failed, and nothing else is tried", async () => {
  const failure = { entry: outside, errno: 100, message: "down" };
  const asked: string[] = [];
  const table = {
    replace: async () => {
      asked.push("replace");
      return [failure];
    },
    remove: async () => [],
  };
  assert.deepEqual(await replaceRoutes([outside], table), [failure]);
  assert.deepEqual(asked, ["replace"]);
});
