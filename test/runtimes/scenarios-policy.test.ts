import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { findCoreDns } from "../support/coredns/program.ts";
import { findKubeApiServer } from "../support/kube-apiserver/program.ts";
import type { Background } from "../support/lab.ts";
import { Cluster, type RunningPod } from "../support/runtimes/cluster.ts";
import { startCoreDns } from "../support/runtimes/coredns.ts";
import { SteadyPing } from "../support/steady-ping.ts";
import { waitFor } from "../support/wait-for.ts";

/** Acceptance scenarios of facts appendix E, by their numbers, in a real cluster: pods and policy. */

const found = findKubeApiServer();
const program = "path" in found ? found.path : "";
const dns = findCoreDns();

describe("in a cluster", { skip: "missing" in found ? found.missing : false }, () => {
  let cluster: Cluster;
  let server: RunningPod;

  before(async () => {
    cluster = await Cluster.start(program, {
      nodes: 2,
      env: { FELIX_POLICYDENIALLOGS: "Enabled", FELIX_IPTABLESREFRESHINTERVAL: "5" },
    });
    server = await cluster.runPod("server", {
      node: "node2",
      labels: { app: "server" },
      command: ["/bin/httpd", "-f", "-p", "80"],
    });
  });
  after(() => cluster?.remove());

  /** What the address answers on port 80, by HTTP; "" when nothing. */
  async function ask(from: RunningPod, address: string, port = 80): Promise<string> {
    const words = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 ${address} ${port}`;
    return (await from.node.containerd.cri.exec(from, "/bin/sh", "-c", words)).output;
  }

  const answers = async (from: RunningPod, address: string, port?: number) =>
    (await ask(from, address, port)).startsWith("HTTP");

  const untilAnswered = (from: RunningPod, address: string, port?: number) =>
    waitFor(() => answers(from, address, port), {
      what: `an answer of ${address} to ${from.name}`,
    });

  const untilDenied = (from: RunningPod, address: string, port?: number) =>
    waitFor(async () => !(await answers(from, address, port)), {
      what: `an end of answers of ${address} to ${from.name}`,
    });

  async function deletePolicy(...names: readonly string[]): Promise<void> {
    const ran = await cluster.cli(["delete", "globalnetworkpolicy", ...names]);
    assert.equal(ran.code, 0, ran.stderr);
  }

  it("1: of 40 pods at once each has its policy before its container starts", async () => {
    await cluster.apply(`
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: guarded-may-not}
spec:
  order: 10
  selector: app == 'guarded'
  types: [Egress]
  egress: [{action: Deny, destination: {selector: app == 'server'}}, {action: Allow}]
`);
    // What the container's very first packet was answered with.
    const command = [
      "/bin/sh",
      "-c",
      `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 1 ${server.address} 80 > /answer; exec sleep 2147483647`,
    ];
    const pods = await Promise.all(
      Array.from({ length: 40 }, (_, index) => {
        const labels = { app: index % 4 === 0 ? "free" : "guarded" };
        return cluster.runPod(`first${index}`, { labels, command });
      }),
    );
    assert.equal(new Set(pods.map(({ address }) => address)).size, pods.length);
    await Promise.all(
      pods.map(async (pod, index) => {
        const look = async () => {
          const { code, output } = await pod.node.containerd.cri.exec(
            pod,
            "/bin/sh",
            "-c",
            "pidof nc || cat /answer",
          );
          return code === 0 && !/^\d+\n$/.test(output) ? { output } : undefined;
        };
        const { output } = await waitFor(look, { what: "the first answer" });
        assert.equal(output.startsWith("HTTP"), index % 4 === 0, `${pod.name}: ${output}`);
      }),
    );
    await Promise.all(pods.map((pod) => cluster.deletePod(pod)));
    await deletePolicy("guarded-may-not");
    assert.deepEqual(await cluster.node(1).veths(), []);
    const check = await cluster.cli(["ipam", "check"]);
    assert.equal(check.code, 0, check.stdout);
  });

  it("9: with only DNS allowed a name is found, and all else is denied and told of", {
    skip: "missing" in dns ? dns.missing : false,
  }, async () => {
    const dnsService = { address: "10.96.0.10", port: 53, protocol: "udp" } as const;
    const webService = { address: "10.96.0.20", port: 80, protocol: "tcp" } as const;
    const service = { spec: { clusterIP: webService.address, ports: [{ port: 80 }] } };
    await cluster.server.must("POST", "/api/v1/namespaces/default/services", {
      metadata: { name: "web" },
      ...service,
    });
    const resolver = await cluster.runPod("dns", { labels: { "k8s-app": "kube-dns" } });
    const client = await cluster.runPod("client", {
      node: "node2",
      labels: { app: "client" },
      nameserver: dnsService.address,
    });
    const backend = await cluster.runPod("backend", { command: ["/bin/httpd", "-f", "-p", "80"] });
    let coredns: Background | undefined;
    try {
      coredns = startCoreDns("path" in dns ? dns.path : "", cluster, resolver);
      await cluster.serve(dnsService, resolver);
      await cluster.serve(webService, backend);
      const lookUp = () =>
        client.node.containerd.cri.exec(client, "nslookup", "web.default.svc.cluster.local");
      await waitFor(async () => (await lookUp()).output.includes(webService.address), {
        timeoutMs: 60_000,
        what: "CoreDNS",
      });
      await untilAnswered(client, webService.address);
      await cluster.apply(`
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: dns-only}
spec:
  selector: app == 'client'
  types: [Ingress, Egress]
  egress: [{action: Allow, protocol: UDP, destination: {selector: k8s-app == 'kube-dns', ports: [53]}}]
`);
      await untilDenied(client, webService.address);
      assert.match((await lookUp()).output, /Address: 10\.96\.0\.20/);
      assert.equal(await answers(client, backend.address), false);
      await waitFor(
        () =>
          /policy denied a packet/.test(client.node.log()) &&
          client.node.log().includes(backend.address),
        { what: "a denial in felix' log" },
      );
    } finally {
      await coredns?.stop("SIGTERM");
    }
    await deletePolicy("dns-only");
    await untilAnswered(client, webService.address);
    await cluster.serve(dnsService, null);
    await cluster.serve(webService, null);
    await Promise.all([resolver, client, backend].map((pod) => cluster.deletePod(pod)));
  });

  it("10: a named port that moves changes a set's members, and no rule", async () => {
    const listens = (port: number) => ({
      node: "node2",
      labels: { app: "api" },
      command: ["/bin/httpd", "-f", "-p", String(port)],
      ports: [{ name: "api", containerPort: port }],
    });
    await cluster.apply(`
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: api-by-name}
spec:
  selector: app == 'caller'
  types: [Egress]
  egress: [{action: Allow, protocol: TCP, destination: {selector: app == 'api', ports: [api]}}]
`);
    const caller = await cluster.runPod("caller", { labels: { app: "caller" } });
    const old = await cluster.runPod("api-1", listens(8080));
    await untilAnswered(caller, old.address, 8080);
    const rules = async () => {
      const text = await caller.node.must("iptables-save", "-t", "filter");
      return text.split("\n").filter((line) => line.startsWith("-A cali-po-"));
    };
    const before = await rules();
    assert.ok(
      before.some((rule) => rule.includes("--match-set")),
      before.join("\n"),
    );
    const next = await cluster.runPod("api-2", listens(9090));
    await untilAnswered(caller, next.address, 9090);
    await cluster.deletePod(old);
    assert.equal(await answers(caller, next.address, 8080), false);
    assert.deepEqual(await rules(), before);
    const sets = await caller.node.must("ipset", "save");
    assert.ok(sets.includes(`${next.address},tcp:9090`), sets);
    await waitFor(
      async () => !(await caller.node.must("ipset", "save")).includes(`${old.address},`),
      {
        what: "the old member's end",
      },
    );
    await deletePolicy("api-by-name");
    await Promise.all([caller, next].map((pod) => cluster.deletePod(pod)));
  });

  it("11: a host endpoint for all interfaces of each node, without policies, cuts nothing off", async () => {
    const client = await cluster.runPod("client-11");
    await untilAnswered(client, server.address);
    await cluster.apply(
      cluster.nodes
        .map(
          ({ name }) => `
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: all-of-${name}}
spec: {node: ${name}, interfaceName: "*", profiles: [projectcalico-default-allow]}
`,
        )
        .join("---\n"),
    );
    for (const node of cluster.nodes) {
      await waitFor(
        async () => (await node.must("iptables-save")).includes("cali-from-host-endpoint"),
        {
          what: `host endpoint rules on ${node.name}`,
        },
      );
    }
    const [first, second] = [cluster.node(1), cluster.node(2)];
    await first.must("ping", "-c", "1", "-W", "10", second.address);
    await untilAnswered(client, server.address);
    // And a restart with them leaves the API server within reach.
    await first.stopTortie();
    first.startTortie();
    await first.ready();
    const other = await cluster.runPod("later-11");
    await untilAnswered(other, server.address);
    const { code } = await cluster.cli(["delete", "hostendpoint", "all-of-node1", "all-of-node2"]);
    assert.equal(code, 0);
    await Promise.all([client, other].map((pod) => cluster.deletePod(pod)));
  });

  it("18: rules that an operator flushed are there again within one refresh, and policy with them", async () => {
    const client = await cluster.runPod("client-18", { labels: { app: "client-18" } });
    await cluster.apply(`
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: no-server}
spec: {selector: app == 'client-18', types: [Egress]}
`);
    await untilDenied(client, server.address);
    const rules = async () =>
      (await client.node.must("iptables-save", "-t", "filter"))
        .split("\n")
        .filter((line) => line.startsWith("-A cali-"))
        .sort();
    const before = await rules();
    await client.node.must("iptables", "-F");
    await waitFor(async () => (await rules()).join("\n") === before.join("\n"), {
      timeoutMs: 60_000,
      what: "the rules",
    });
    assert.equal(await answers(client, server.address), false);
    await deletePolicy("no-server");
    await untilAnswered(client, server.address);
    await cluster.deletePod(client);
  });

  it("22: a pod that gets no address is told of the pool, and runs when there is one", async () => {
    await cluster.apply(`
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: tiny}
spec: {cidr: 10.99.0.0/30, blockSize: 30, nodeSelector: "!all()"}
`);
    const tiny = { annotations: { "cni.projectcalico.org/ipv4pools": '["tiny"]' } };
    const pods = await Promise.all(
      [1, 2, 3, 4].map((number) => cluster.runPod(`tiny${number}`, tiny)),
    );
    assert.ok(pods.every(({ address }) => address.startsWith("10.99.0.")));
    await cluster.createPod("tiny5", tiny);
    const failure = await waitFor(() => cluster.node(1).kubelet.failureOf("default/tiny5"), {
      what: "the failure",
    });
    assert.match(failure, /plugin type="calico" failed \(add\).*tiny/);
    const [last] = pods;
    await cluster.deletePod(last ?? assert.fail());
    const path = "/api/v1/namespaces/default/pods/tiny5";
    await waitFor(
      async () => {
        const pod = (await cluster.server.must("GET", path)) as { status: { podIP?: string } };
        return pod.status.podIP === last?.address;
      },
      { timeoutMs: 60_000, what: "the address that became free" },
    );
    await Promise.all(
      [...pods.slice(1), { name: "tiny5", namespace: "default" }].map((pod) =>
        cluster.deletePod(pod),
      ),
    );
  });

  it("25: another log severity restarts nothing, and no packet is lost", async () => {
    const pod = await cluster.runPod("client-25");
    const ping = new SteadyPing("node1 to node2", pod.netns, server.address);
    await ping.answers();
    const { felix } = pod.node.processes;
    const configured = (severity: string) =>
      cluster.apply(`
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {logSeverityScreen: ${severity}}
`);
    await configured("Debug");
    await waitFor(() => /"level":20/.test(pod.node.log()), { what: "a line of debug" });
    await configured("Info");
    assert.deepEqual(await ping.lost(), []);
    assert.deepEqual(pod.node.processes.felix, felix);
    await cluster.deletePod(pod);
  });
});
