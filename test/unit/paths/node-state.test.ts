import assert from "node:assert/strict";
import { test } from "node:test";
import { checksumErrors } from "../../../src/paths/node-state.ts";

const snmp = `Icmp: InMsgs InErrors InCsumErrors InDestUnreachs
Icmp: 3 0 9 1
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn InErrs OutRsts InCsumErrors
Tcp: 1 200 120000 -1 0 2 4
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors
Udp: 10 0 3 12 0 0 3 0 0
UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors
UdpLite: 0 0 0 0 0 0 8 0 0
`;
const snmp6 = `Udp6InDatagrams                 	2
Udp6InCsumErrors                	5
`;

test("checksum errors are those of UDP of both families, and of TCP", () => {
  assert.deepEqual(checksumErrors(`${snmp}\n${snmp6}`), { udp: 8, tcp: 4 });
  assert.deepEqual(checksumErrors(snmp), { udp: 3, tcp: 4 });
  assert.deepEqual(checksumErrors(""), { udp: 0, tcp: 0 });
});
