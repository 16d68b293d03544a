import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { step } from "../../../../src/bgp/fsm/step.ts";
import { at, config, events, words } from "./fsm-fixture.ts";

/**
 * RFC 4271 section 8.2.2, a row per state and event: state, event, next state, effects. "+": the
 * DelayOpenTimer runs. "stop" ends all timers of the connection, "fail" is that, "close" and
 * "idleHold=0.25", with a NOTIFICATION before the close and "down" after it.
 */
const table = `
Idle | 1 start | Connect | -idleHold connectRetry=5 connect
Idle | 2 stop | Idle | -idleHold
Idle | 4 start passive | Active | -idleHold
Idle | 8 reset | Idle |
Idle | 8 stop quietly | Idle | -idleHold
Idle | 9 ConnectRetryTimer | Idle |
Idle | 10 HoldTimer | Idle |
Idle | 11 KeepaliveTimer | Idle |
Idle | 12 DelayOpenTimer | Idle |
Idle | 13 IdleHoldTimer | Connect | -idleHold connectRetry=5 connect
Idle | 16 TCP connected | Idle |
Idle | 18 TCP failed | Idle |
Idle | 19 OPEN | Idle |
Idle | 21 header error | Idle |
Idle | 22 OPEN error | Idle |
Idle | 22 OPEN malformed | Idle |
Idle | 23 collision lost | Idle |
Idle | 24 NOTIFICATION version | Idle |
Idle | 25 NOTIFICATION | Idle |
Idle | 26 KEEPALIVE | Idle |
Idle | 27 UPDATE | Idle |
Idle | 28 UPDATE error | Idle |
Idle | 29 SendHoldTimer | Idle |
Idle | ROUTE-REFRESH | Idle |
Idle | replaced | Idle |

Connect | 1 start | Connect |
Connect | 2 stop | Idle | stop close
Connect | 4 start passive | Connect |
Connect | 8 reset | Connect |
Connect | 8 stop quietly | Idle | stop close
Connect | 9 ConnectRetryTimer | Connect | stop close connectRetry=5 connect
Connect | 10 HoldTimer | Idle | fail
Connect | 11 KeepaliveTimer | Idle | fail
Connect | 12 DelayOpenTimer | Idle | fail
Connect | 13 IdleHoldTimer | Idle | fail
Connect | 16 TCP connected | OpenSent | stop open hold=240
Connect | 18 TCP failed | Active | stop close connectRetry=0.25
Connect | 19 OPEN | Idle | fail
Connect | 21 header error | Idle | fail
Connect | 22 OPEN error | Idle | fail
Connect | 22 OPEN malformed | Idle | fail
Connect | 23 collision lost | Idle | fail
Connect | 24 NOTIFICATION version | Idle | fail
Connect | 25 NOTIFICATION | Idle | fail
Connect | 26 KEEPALIVE | Idle | fail
Connect | 27 UPDATE | Idle | fail
Connect | 28 UPDATE error | Idle | fail
Connect | 29 SendHoldTimer | Idle | fail
Connect | ROUTE-REFRESH | Idle | fail
Connect | replaced | Idle | fail

Connect+ | 1 start | Connect+ |
Connect+ | 2 stop | Idle | stop close
Connect+ | 4 start passive | Connect+ |
Connect+ | 8 reset | Connect+ |
Connect+ | 8 stop quietly | Idle | stop close
Connect+ | 9 ConnectRetryTimer | Connect | stop close connectRetry=5 connect
Connect+ | 10 HoldTimer | Idle | fail
Connect+ | 11 KeepaliveTimer | Idle | fail
Connect+ | 12 DelayOpenTimer | OpenSent | stop open hold=240
Connect+ | 13 IdleHoldTimer | Idle | fail
Connect+ | 16 TCP connected | OpenSent | stop open hold=240
Connect+ | 18 TCP failed | Active | stop close connectRetry=0.25
Connect+ | 19 OPEN | OpenConfirm | stop open keepalive hold=60 keepalive=20
Connect+ | 21 header error | Idle | fail notify=1/2
Connect+ | 22 OPEN error | Idle | fail notify=2/6
Connect+ | 22 OPEN malformed | Idle | fail notify=2/0
Connect+ | 23 collision lost | Idle | fail
Connect+ | 24 NOTIFICATION version | Idle | fail
Connect+ | 25 NOTIFICATION | Idle | fail
Connect+ | 26 KEEPALIVE | Idle | fail
Connect+ | 27 UPDATE | Idle | fail
Connect+ | 28 UPDATE error | Idle | fail
Connect+ | 29 SendHoldTimer | Idle | fail
Connect+ | ROUTE-REFRESH | Idle | fail
Connect+ | replaced | Idle | fail

Active | 1 start | Active |
Active | 2 stop | Idle | stop close
Active | 4 start passive | Active |
Active | 8 reset | Active |
Active | 8 stop quietly | Idle | stop close
Active | 9 ConnectRetryTimer | Connect | connectRetry=5 connect
Active | 10 HoldTimer | Idle | fail
Active | 11 KeepaliveTimer | Idle | fail
Active | 12 DelayOpenTimer | Idle | fail
Active | 13 IdleHoldTimer | Idle | fail
Active | 16 TCP connected | OpenSent | stop open hold=240
Active | 18 TCP failed | Active | stop close connectRetry=0.25
Active | 19 OPEN | Idle | fail
Active | 21 header error | Idle | fail
Active | 22 OPEN error | Idle | fail
Active | 22 OPEN malformed | Idle | fail
Active | 23 collision lost | Idle | fail
Active | 24 NOTIFICATION version | Idle | fail
Active | 25 NOTIFICATION | Idle | fail
Active | 26 KEEPALIVE | Idle | fail
Active | 27 UPDATE | Idle | fail
Active | 28 UPDATE error | Idle | fail
Active | 29 SendHoldTimer | Idle | fail
Active | ROUTE-REFRESH | Idle | fail
Active | replaced | Idle | fail

Active+ | 1 start | Active+ |
Active+ | 2 stop | Idle | stop close
Active+ | 4 start passive | Active+ |
Active+ | 8 reset | Active+ |
Active+ | 8 stop quietly | Idle | stop close
Active+ | 9 ConnectRetryTimer | Connect | stop close connectRetry=5 connect
Active+ | 10 HoldTimer | Idle | fail
Active+ | 11 KeepaliveTimer | Idle | fail
Active+ | 12 DelayOpenTimer | OpenSent | stop open hold=240
Active+ | 13 IdleHoldTimer | Idle | fail
Active+ | 16 TCP connected | OpenSent | stop open hold=240
Active+ | 18 TCP failed | Active | stop close connectRetry=0.25
Active+ | 19 OPEN | OpenConfirm | stop open keepalive hold=60 keepalive=20
Active+ | 21 header error | Idle | fail notify=1/2
Active+ | 22 OPEN error | Idle | fail notify=2/6
Active+ | 22 OPEN malformed | Idle | fail notify=2/0
Active+ | 23 collision lost | Idle | fail
Active+ | 24 NOTIFICATION version | Idle | fail
Active+ | 25 NOTIFICATION | Idle | fail
Active+ | 26 KEEPALIVE | Idle | fail
Active+ | 27 UPDATE | Idle | fail
Active+ | 28 UPDATE error | Idle | fail
Active+ | 29 SendHoldTimer | Idle | fail
Active+ | ROUTE-REFRESH | Idle | fail
Active+ | replaced | Idle | fail

OpenSent | 1 start | OpenSent |
OpenSent | 2 stop | Idle | stop notify=6/2 close
OpenSent | 4 start passive | OpenSent |
OpenSent | 8 reset | Idle | fail notify=6/4
OpenSent | 8 stop quietly | Idle | stop close
OpenSent | 9 ConnectRetryTimer | Idle | fail notify=5/1
OpenSent | 10 HoldTimer | Idle | fail notify=4/0
OpenSent | 11 KeepaliveTimer | Idle | fail notify=5/1
OpenSent | 12 DelayOpenTimer | Idle | fail notify=5/1
OpenSent | 13 IdleHoldTimer | Idle | fail notify=5/1
OpenSent | 16 TCP connected | Idle | fail notify=5/1
OpenSent | 18 TCP failed | Active | stop close connectRetry=0.25
OpenSent | 19 OPEN | OpenConfirm | keepalive hold=60 keepalive=20
OpenSent | 21 header error | Idle | fail notify=1/2
OpenSent | 22 OPEN error | Idle | fail notify=2/6
OpenSent | 22 OPEN malformed | Idle | fail notify=2/0
OpenSent | 23 collision lost | Idle | fail notify=6/7
OpenSent | 24 NOTIFICATION version | Idle | fail
OpenSent | 25 NOTIFICATION | Idle | fail
OpenSent | 26 KEEPALIVE | Idle | fail notify=5/1
OpenSent | 27 UPDATE | Idle | fail notify=5/1
OpenSent | 28 UPDATE error | Idle | fail notify=5/1
OpenSent | 29 SendHoldTimer | Idle | fail notify=8/0
OpenSent | ROUTE-REFRESH | Idle | fail notify=5/1
OpenSent | replaced | Idle | fail notify=5/1

OpenConfirm | 1 start | OpenConfirm |
OpenConfirm | 2 stop | Idle | stop notify=6/2 close
OpenConfirm | 4 start passive | OpenConfirm |
OpenConfirm | 8 reset | Idle | fail notify=6/4
OpenConfirm | 8 stop quietly | Idle | stop close
OpenConfirm | 9 ConnectRetryTimer | Idle | fail notify=5/2
OpenConfirm | 10 HoldTimer | Idle | fail notify=4/0
OpenConfirm | 11 KeepaliveTimer | OpenConfirm | keepalive keepalive=20
OpenConfirm | 12 DelayOpenTimer | Idle | fail notify=5/2
OpenConfirm | 13 IdleHoldTimer | Idle | fail notify=5/2
OpenConfirm | 16 TCP connected | Idle | fail notify=5/2
OpenConfirm | 18 TCP failed | Idle | fail
OpenConfirm | 19 OPEN | Idle | fail notify=5/2
OpenConfirm | 21 header error | Idle | fail notify=1/2
OpenConfirm | 22 OPEN error | Idle | fail notify=5/2
OpenConfirm | 22 OPEN malformed | Idle | fail notify=2/0
OpenConfirm | 23 collision lost | Idle | fail notify=6/7
OpenConfirm | 24 NOTIFICATION version | Idle | fail
OpenConfirm | 25 NOTIFICATION | Idle | fail
OpenConfirm | 26 KEEPALIVE | Established | hold=60 established
OpenConfirm | 27 UPDATE | Idle | fail notify=5/2
OpenConfirm | 28 UPDATE error | Idle | fail notify=5/2
OpenConfirm | 29 SendHoldTimer | Idle | fail notify=8/0
OpenConfirm | ROUTE-REFRESH | Idle | fail notify=5/2
OpenConfirm | replaced | Idle | fail notify=5/2

Established | 1 start | Established |
Established | 2 stop | Idle | stop notify=6/2 close down
Established | 4 start passive | Established |
Established | 8 reset | Idle | fail notify=6/4 down
Established | 8 stop quietly | Idle | stop notify=6/2 close down
Established | 9 ConnectRetryTimer | Idle | fail notify=5/3 down
Established | 10 HoldTimer | Idle | fail notify=4/0 down
Established | 11 KeepaliveTimer | Established | keepalive keepalive=20
Established | 12 DelayOpenTimer | Idle | fail notify=5/3 down
Established | 13 IdleHoldTimer | Idle | fail notify=5/3 down
Established | 16 TCP connected | Idle | fail notify=5/3 down
Established | 18 TCP failed | Idle | fail down
Established | 19 OPEN | Idle | fail notify=5/3 down
Established | 21 header error | Idle | fail notify=1/2 down
Established | 22 OPEN error | Idle | fail notify=5/3 down
Established | 22 OPEN malformed | Idle | fail notify=5/3 down
Established | 23 collision lost | Idle | fail notify=6/7 down
Established | 24 NOTIFICATION version | Idle | fail down
Established | 25 NOTIFICATION | Idle | fail down
Established | 26 KEEPALIVE | Established | hold=60
Established | 27 UPDATE | Established | hold=60 deliver
Established | 28 UPDATE error | Idle | fail notify=3/1 down
Established | 29 SendHoldTimer | Idle | fail notify=8/0 down
Established | ROUTE-REFRESH | Established | hold=60 refresh
Established | replaced | Active | stop close down
`;

const rows = table
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => line.split("|").map((cell) => cell.trim()));

suite("step() by the table of states and events", () => {
  for (const [from = "", name = "", to, effects] of rows) {
    test(`${from} [${name}] leads to ${to}: ${effects}`, () => {
      const event = events[name];
      assert.ok(event !== undefined, `no event ${name}`);
      const [fsm, done] = step(at(from as Parameters<typeof at>[0]), event, config);
      assert.equal(fsm.state + (fsm.delaysOpen ? "+" : ""), to);
      assert.equal(words(done), effects ?? "");
      assert.equal(fsm.open !== undefined, to === "OpenConfirm" || to === "Established");
    });
  }

  test("every event has a row in every state", () => {
    const states = ["Idle", "Connect", "Connect+", "Active", "Active+", "OpenSent"];
    const all = [...states, "OpenConfirm", "Established"].flatMap((state) =>
      Object.keys(events).map((event) => `${state} | ${event}`),
    );
    assert.deepEqual(
      rows.map(([state, event]) => `${state} | ${event}`),
      all,
    );
  });
});
