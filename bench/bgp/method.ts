import type { Row } from "./rows.ts";

/** The part of docs/bench/bgp.md that no run changes. */
export function method(rows: readonly Row[]): string {
  return `# BGP: tortie beside other daemons

Written by \`npm run bench:bgp\` (as root; \`-- --help\` lists the options; \`--quick\` takes some minutes).

## What is measured

One daemon at a time, alone in a network namespace behind one veth link. All clients are sessions of
one Node process in a second namespace, each with an address of its own, all in the daemon's AS and all
its route reflector clients. Daemons install nothing into the kernel. Neighbour (ARP) entries are permanent.
Clients propose a hold time of 90 s, to tortie one of 9 s, and offer the capabilities multiprotocol IPv4,
4-octet AS and route refresh: no extended messages, no graceful restart.

The load generator (\`bench/bgp/load\`) writes bytes that were made before the row starts, and reads into
one buffer without streams. Of an UPDATE it reads the two lengths and the prefixes: each client has a bit a
prefix, so a row ends when every client has exactly what it should have, however often a prefix was sent.
What a client is told of its own routes does not count (FRR does that). Times are of that process' clock.
The share of time that it was busy is in the second table.

The floor is a reflector of 150 lines that passes UPDATEs on as bytes: no RIB, no decision, no policy,
each batch joined once and written to all.

A full table is ${"170,000 attribute sets in as many UPDATEs, 5.88 prefixes each on average (1 to 22),"}
paths of 2 to 6 ASes, 0 to 4 communities, a MED in every eighth; lengths /22 to /24.

tortie is \`bin/tortie bgp --config FILE\` with \`kernel: {install: false}\` and its clients as neighbors: no
Kubernetes or etcd client is loaded. FRR's bgpd runs without zebra in three configurations:
\`coalesce-time\` as it is (1000 ms), 10 and 0. In each row its best one counts; a table below has all. A
daemon that needs more than 20 s for a row is not asked again: its value is of one run. "> N" means that
the row did not end within N ms; "none" that there is no value, as after a row that did not end.

| row | starts when | ends when |
|---|---|---|
${rows.map(({ title, start, end }) => `| ${title} | ${start} | ${end} |`).join("\n")}

Event loop: \`perf_hooks.monitorEventLoopDelay\` at 1 ms, in a module that is loaded into tortie's process
(\`NODE_OPTIONS=--import=bench/bgp/probe/probe.ts\`); the longest delay between two ticks of its timer, less the
resolution, from the start of a row to its end. It holds whatever keeps that process from its timers:
callbacks, garbage collection, and other work on the machine. Beside it, the most processor time of that
thread between two ticks of a timer of 1 ms, to which other work on the machine adds little.
Keepalives: the longest time that any client heard nothing, in the same span; over 9 s its hold timer would
have expired. "Sessions lost" counts the sessions that tortie ended.
Processor time: of all threads of the daemon, in the same span (\`/proc/PID/task/*/schedstat\`).
`;
}
