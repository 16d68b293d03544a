import assert from "node:assert/strict";
import { test } from "node:test";
import { udpTunnelChild, udpTunnelPort } from "../../../src/node/udp-tunnel/udp-tunnel-child.ts";
import { pool } from "../ipam/cluster.ts";

test("the process is wanted while a pool asks for it, with the configured port", () => {
  const plain = pool("a", { cidr: "10.0.0.0/16" });
  const metadata = { name: "b", annotations: { "tortie.dev/encapsulation": "UDPCrossSubnet" } };
  const udp = { ...pool("b", { cidr: "10.1.0.0/16" }), metadata };
  assert.equal(udpTunnelPort([plain], { udpPort: 8285 }), undefined);
  assert.equal(udpTunnelPort([plain, udp], { udpPort: 9000 }), 9000);
});

test("it is told its port, and nothing secret of our environment", () => {
  const env = { PATH: "/bin", ETCD_PASSWORD: "secret", FELIX_LOGSEVERITYSCREEN: "Debug" };
  const child = udpTunnelChild(9000, { program: "node", args: ["main.ts"] }, env);
  assert.deepEqual(child.args, ["main.ts", "udp-tunnel", "--port", "9000"]);
  assert.equal(child.subcommand, "udp-tunnel");
  assert.doesNotMatch(JSON.stringify(child.env), /secret/);
  assert.equal(child.env["PATH"], "/bin");
});
