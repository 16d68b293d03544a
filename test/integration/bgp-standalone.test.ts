import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { PeerRow } from "../../src/bgp/control/peer-views.ts";
import type { RouteRow } from "../../src/bgp/control/rib-rows.ts";
import { cannotMakeNetns, TestNetns } from "../support/netns.ts";
import { parsePrometheusText } from "../support/prometheus-text.ts";
import { waitFor } from "../support/wait-for.ts";

const run = promisify(execFile);
const program = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const guide = readFileSync(new URL("../../docs/bgp-config.md", import.meta.url), "utf8");

/** The files that the guide tells to write: blocks of YAML that begin with "# NAME.yaml". */
const guideFiles: ReadonlyMap<string, string> = new Map(
  [...guide.matchAll(/```yaml\n# (\S+\.yaml)\n([\s\S]*?)```/g)].map(([, name = "", text = ""]) => [
    name,
    text,
  ]),
);

/** One `tortie bgp --config` in a namespace. */
class Speaker {
  readonly netns: TestNetns;
  readonly file: string;
  readonly #folder: string;
  readonly #child: ChildProcess;
  log = "";

  constructor(
    netns: TestNetns,
    file: string,
    { folder, wrapper = [] }: { readonly folder: string; readonly wrapper?: readonly string[] },
  ) {
    this.netns = netns;
    this.file = file;
    this.#folder = folder;
    const command = [...wrapper, process.execPath, program, "bgp", "--config", file];
    const env = { PATH: process.env["PATH"], TORTIE_RUN_DIR: folder };
    this.#child = spawn("ip", ["netns", "exec", netns.name, ...command], {
      stdio: ["ignore", "ignore", "pipe"],
      env,
    });
    this.#child.stderr?.on("data", (chunk) => {
      this.log += chunk;
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What the command prints, as the user sees it. */
  async ask(...words: readonly string[]): Promise<string> {
    const env = { PATH: process.env["PATH"], TORTIE_RUN_DIR: this.#folder };
    const { stdout } = await run(process.execPath, [program, "bgp", ...words], { env });
    return stdout;
  }

  async rows<Row>(...words: readonly string[]): Promise<readonly Row[]> {
    const text = await this.ask(...words, "-o", "json");
    return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Row]));
  }

  async peers(): Promise<readonly PeerRow[]> {
    return this.rows<PeerRow>("peers");
  }

  reload(text: string): void {
    writeFileSync(this.file, text);
    this.#child.kill("SIGHUP");
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill(signal);
    await exit;
  }
}

/** The kernel's routes that are ours. */
function routesOf(host: TestNetns | undefined): readonly string[] {
  assert.ok(host !== undefined);
  return host
    .ip("route show proto bird")
    .split("\n")
    .map((line) => line.trim().replaceAll(/ +/g, " "))
    .filter((line) => line !== "")
    .sort();
}

describe("the reflector of docs/bgp-config.md", { skip: cannotMakeNetns() }, () => {
  const folder = mkdtempSync(join(tmpdir(), "tt-alone-"));
  const hosts: TestNetns[] = [];
  const clients: Speaker[] = [];
  let reflector: Speaker;

  const start = (host: number, name: string, wrapper: readonly string[] = []): Speaker => {
    const netns = hosts[host - 1];
    const file = join(folder, name);
    assert.ok(netns !== undefined);
    writeFileSync(file, guideFiles.get(name) ?? "");
    return new Speaker(netns, file, { folder: join(folder, `run${host}`), wrapper });
  };

  before(async () => {
    const bridge = new TestNetns("net");
    bridge.ip("link add br0 type bridge");
    bridge.ip("link set br0 up");
    for (let host = 1; host <= 4; host++) {
      const netns = new TestNetns(`host${host}`);
      hosts.push(netns);
      netns.addVeth("eth0", `port${host}`, bridge);
      bridge.ip(`link set port${host} master br0`);
      netns.ip(`addr add 10.99.0.${host}/24 dev eth0`);
    }
    hosts.push(bridge);
    // All that its text asks for: no NET_ADMIN for one that installs nothing.
    reflector = start(1, "reflector.yaml", [
      "setpriv",
      "--bounding-set=-all,+net_bind_service",
      "--inh-caps=-all",
    ]);
    for (const host of [2, 3, 4]) clients.push(start(host, `client${host}.yaml`));
    const isUp = async () => {
      const peers = await reflector.peers();
      return peers.length === 3 && peers.every(({ state }) => state === "Established");
    };
    await waitFor(isUp, { what: "three sessions", timeoutMs: 60_000 });
  });

  after(async () => {
    await Promise.all([reflector, ...clients].map((speaker) => speaker?.stop()));
    for (const netns of hosts) netns.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  test("the guide has a file for each of them, and --check finds them good", async () => {
    assert.deepEqual(
      [...guideFiles.keys()],
      ["reflector.yaml", "client2.yaml", "client3.yaml", "client4.yaml"],
    );
    const file = join(folder, "reflector.yaml");
    const { stdout } = await run(process.execPath, [program, "bgp", "--config", file, "--check"]);
    assert.equal(stdout, `${file}: ok, 3 neighbors\n`);
  });

  test("the README has the same files", () => {
    const blocks = [...readme.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text);
    assert.deepEqual(blocks, [guideFiles.get("reflector.yaml"), guideFiles.get("client2.yaml")]);
  });

  test("every client has the prefixes of the others in its kernel", async () => {
    await waitFor(() => hosts.slice(1, 4).every((host) => routesOf(host).length >= 2), {
      what: "reflected routes",
    });
    assert.deepEqual(
      routesOf(hosts[1]).filter((line) => !line.startsWith("blackhole")),
      [
        "10.65.3.0/26 via 10.99.0.3 dev eth0 metric 1024",
        "10.65.4.0/26 via 10.99.0.4 dev eth0 metric 1024",
      ],
    );
    assert.equal(hosts[0]?.ip("route show proto bird"), "");
  });

  test("rib shows what was told, and how it was reflected", async () => {
    const [chosen] = await reflector.rows<RouteRow>("rib", "10.65.2.0/26");
    assert.deepEqual(chosen, {
      prefix: "10.65.2.0/26",
      peer: "Static_10_99_0_2",
      nextHop: "10.99.0.2",
      asPath: "",
      origin: "IGP",
      localPref: 100,
    });
    const told = await reflector.rows<RouteRow>("rib", "--out", "Static_10_99_0_3");
    assert.deepEqual(told.map(({ prefix }) => prefix).sort(), ["10.65.2.0/26", "10.65.4.0/26"]);
    assert.deepEqual(told[0]?.clusterList, ["10.99.0.1"]);
    const heard = await reflector.rows<RouteRow>("rib", "--in", "Static_10_99_0_4");
    assert.deepEqual(
      heard.map(({ prefix }) => prefix),
      ["10.65.4.0/26"],
    );
    assert.match(await reflector.ask("rib"), /^PREFIX +NEXT HOP[^\n]*\n10\.65\./);
  });

  test("why and why-not say what the guide says", async () => {
    assert.match(await reflector.ask("why", "10.65.2.0/26"), /best +Static_10_99_0_2/);
    assert.equal(
      await reflector.ask("why-not", "10.65.2.0/26", "--to", "Static_10_99_0_2"),
      "Static_10_99_0_2 is not told of 10.65.2.0/26: split horizon: learned from it\n",
    );
    assert.ok(guide.includes("Static_10_99_0_2 is not told of 10.65.2.0/26: split horizon"));
  });

  test("a session that is shut down stays down until it may start", async () => {
    const stateOf = async () =>
      (await reflector.peers()).find(({ name }) => name === "Static_10_99_0_4")?.state;
    await reflector.ask("shutdown", "Static_10_99_0_4", "--message", "back at noon");
    await waitFor(async () => (await stateOf()) !== "Established", { what: "its end" });
    await waitFor(async () => (await reflector.rows("rib")).length === 2, { what: "withdrawal" });
    await reflector.ask("start", "Static_10_99_0_4");
    await waitFor(async () => (await stateOf()) === "Established", { what: "its start" });
    await waitFor(async () => (await reflector.rows("rib")).length === 3, { what: "its route" });
  });

  test("a shutdown ends what is kept of a peer that has died", async () => {
    const isDown = async () =>
      (await reflector.peers()).some(({ state }) => state !== "Established");
    await clients[2]?.kill();
    await waitFor(isDown, { what: "the session's end" });
    assert.equal((await reflector.rows("rib")).length, 3, "its route is stale");
    await reflector.ask("shutdown", "Static_10_99_0_4");
    await waitFor(async () => (await reflector.rows("rib")).length === 2, { what: "its end" });
    await waitFor(() => routesOf(hosts[1]).every((route) => !route.includes("10.99.0.4")), {
      what: "withdrawal",
    });
    clients[2] = start(4, "client4.yaml");
    await reflector.ask("start", "Static_10_99_0_4");
    await waitFor(async () => !(await isDown()), { what: "its start", timeoutMs: 60_000 });
    await waitFor(async () => (await reflector.rows("rib")).length === 3, { what: "its route" });
  });

  test("a refresh lets the peer tell its routes again", async () => {
    assert.equal(
      await reflector.ask("refresh", "Static_10_99_0_2", "--in"),
      "Static_10_99_0_2: refreshed in\n",
    );
    await assert.rejects(reflector.ask("refresh", "nobody"), /no session with it is Established/);
  });

  test("SIGHUP changes what differs, and sessions that do not differ go on", async () => {
    const since = async () =>
      new Map((await reflector.peers()).map((peer) => [peer.name, peer.since]));
    const before = await since();
    const text = guideFiles.get("reflector.yaml") ?? "";
    reflector.reload(text.replace(/^.*10\.99\.0\.4.*\n/m, ""));
    await waitFor(async () => (await reflector.peers()).length === 2, { what: "two sessions" });
    const left = await since();
    assert.equal(left.get("Static_10_99_0_2"), before.get("Static_10_99_0_2"));
    assert.equal(left.get("Static_10_99_0_3"), before.get("Static_10_99_0_3"));
    await waitFor(async () => (await reflector.rows("rib")).length === 2, {
      what: "its route gone",
    });
  });

  test("SIGHUP with a mistake changes nothing, and says so in the log", async () => {
    const text = guideFiles.get("reflector.yaml") ?? "";
    reflector.reload(text.replace("neighbors:", "neighbours:"));
    await waitFor(() => reflector.log.includes("The file is not applied"), { what: "the log" });
    assert.match(reflector.log, /neighbours: unknown key, did you mean \\"neighbors\\"/);
    assert.equal((await reflector.peers()).length, 2);
    assert.match(await reflector.ask("log"), /error The file is not applied/);
  });

  test("it needs no NET_ADMIN, no datastore library, and its socket is its owner's", () => {
    const status = readFileSync(`/proc/${reflector.pid}/status`, "utf8");
    const effective = Number.parseInt(/CapEff:\s+(\w+)/.exec(status)?.[1] ?? "", 16);
    assert.equal(effective, 1 << 10, "NET_BIND_SERVICE and nothing else");
    assert.equal(statSync(join(folder, "run1", "bgp.sock")).mode & 0o777, 0o600);
    assert.equal(statSync(join(folder, "run1")).mode & 0o777, 0o700);
  });
});

describe("IPv4 between hosts of IPv6 alone (RFC 8950)", { skip: cannotMakeNetns() }, () => {
  const folder = mkdtempSync(join(tmpdir(), "tt-extended-"));
  const hosts = [new TestNetns("a"), new TestNetns("b")];
  const speakers: Speaker[] = [];

  before(() => {
    const [a, b] = hosts;
    assert.ok(a !== undefined && b !== undefined);
    a.addVeth("eth0", "eth0", b);
    for (const [index, netns] of hosts.entries()) {
      const [own, other] = [index + 1, 2 - index];
      netns.ip(`addr add 2001:db8::${own}/64 dev eth0 nodad`);
      netns.ip(`addr add 10.65.${own}.1/32 dev lo`);
      const file = join(folder, `host${own}.yaml`);
      writeFileSync(
        file,
        `asn: 64512
routerId: 10.65.${own}.1
listen: [{address: "2001:db8::${own}", port: 179}]
kernel: {install: true}
originate: [{prefix: 10.65.${own}.0/26, nextHop: self}]
neighbors:
  - {address: "2001:db8::${other}", asn: 64512, families: [ipv4-unicast, ipv6-unicast], extendedNextHop: true}
`,
      );
      speakers.push(new Speaker(netns, file, { folder: join(folder, `run${own}`) }));
    }
  });

  after(async () => {
    await Promise.all(speakers.map((speaker) => speaker.stop()));
    for (const netns of hosts) netns.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  test("the kernel has the route by the neighbor's IPv6 address, and packets take it", async () => {
    const [a, b] = hosts;
    const route = "10.65.2.0/26 via inet6 2001:db8::2 dev eth0 metric 1024";
    await waitFor(() => routesOf(a).includes(route) && routesOf(b).length > 0, { what: route });
    a?.run("ping", ["-c1", "-W5", "-I", "10.65.1.1", "10.65.2.1"]);
  });
});

describe("a speaker of a user without any privilege", { skip: cannotMakeNetns() }, () => {
  const nobody = 65534;
  const folder = mkdtempSync(join(tmpdir(), "tt-plain-"));
  const speakers: Speaker[] = [];
  let netns: TestNetns;

  const start = (host: number, other: number) => {
    const file = join(folder, `speaker${host}.yaml`);
    writeFileSync(
      file,
      `asn: 64512
routerId: 127.0.0.${host}
listen: [{address: 127.0.0.${host}, port: 1790}]
metrics: {address: 127.0.0.${host}}
originate: [{prefix: 10.65.${host}.0/26}]
neighbors:
  - {name: other, address: 127.0.0.${other}, port: 1790, localAddress: 127.0.0.${host}, asn: 64512}
`,
    );
    const wrapper = ["setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"];
    const options = { folder: join(folder, `run${host}`), wrapper: [...wrapper, "--no-new-privs"] };
    const speaker = new Speaker(netns, file, options);
    speakers.push(speaker);
    return speaker;
  };

  before(() => {
    netns = new TestNetns("plain");
    chownSync(folder, nobody, nobody);
  });

  after(async () => {
    await Promise.all(speakers.map((speaker) => speaker.stop()));
    netns.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  test("it has no capability, and speaks on a high port", async () => {
    const [one] = [start(1, 2), start(2, 1)];
    const told = async () => (await one.rows<RouteRow>("rib", "--in", "other")).length === 1;
    await waitFor(told, { what: "the route of the other", timeoutMs: 60_000 });
    const status = readFileSync(`/proc/${one.pid}/status`, "utf8");
    assert.match(status, /CapEff:\s+0+\n/);
    assert.match(status, new RegExp(`Uid:\\s+${nobody}\\s`));
  });

  test("Prometheus can ask it, and SIGHUP ends that", async () => {
    const [one] = speakers;
    assert.ok(one !== undefined);
    const scrape = () =>
      run("ip", ["netns", "exec", netns.name, process.execPath, "-e", scrapeProgram]);
    const samples = parsePrometheusText((await scrape()).stdout);
    const up = samples.find(({ name }) => name === "bgp_peer_up");
    assert.deepEqual(up, { name: "bgp_peer_up", labels: { peer: "other" }, value: 1 });
    one.reload(readFileSync(one.file, "utf8").replace(/^metrics.*\n/m, ""));
    await waitFor(
      () =>
        scrape().then(
          () => false,
          () => true,
        ),
      { what: "the end of metrics" },
    );
    assert.equal((await one.peers())[0]?.state, "Established");
  });
});

const scrapeProgram =
  'fetch("http://127.0.0.1:9900/metrics").then((r) => r.text()).then((t) => process.stdout.write(t))';
