import { type IpFamily, ipFamily } from "../../lib/ip-addr.ts";
import type { PeerStatus } from "../peer/peer.ts";
import type { RunningSpeaker } from "../speaker/run-speaker.ts";
import { type BirdLine, birdCode, endOfReply, lastLine } from "./reply.ts";
import { shortTime } from "./times.ts";

/** A session as a row of "show protocols" tells it. */
export type BirdSession = Pick<PeerStatus, "name" | "address" | "since" | "reason"> &
  Pick<Partial<PeerStatus>, "negotiated" | "lastError"> & { readonly state: string };

/** The sessions with peers of one family, also those that are kept down. */
export function sessionsOf(
  { speaker, host, startedAt }: RunningSpeaker,
  family: IpFamily,
): readonly BirdSession[] {
  const blocked = (speaker.config?.blocked ?? []).map(({ name, address, reason }) => ({
    name,
    address,
    state: "Idle",
    since: startedAt,
    reason,
  }));
  return [...host.status(), ...blocked].filter(({ address }) => ipFamily(address) === family);
}

/** Facts 5.20: readers check the six headings exactly. */
export function* showProtocols(
  running: RunningSpeaker,
  family: IpFamily,
  { all, name }: { readonly all: boolean; readonly name?: string },
  now: Date,
): Generator<BirdLine> {
  const sessions = sessionsOf(running, family).filter(
    (session) => name === undefined || session.name === name,
  );
  if (sessions.length === 0 && name !== undefined) {
    yield lastLine(birdCode.noProtocol, "No protocols match");
    return;
  }
  yield row(birdCode.protocolHeading, "name", "proto", "table", "state", "since", "info");
  for (const session of sessions) {
    const { state, since, reason } = session;
    const info = state === "Established" ? state : `${state}        ${reason}`;
    const told = shortTime(new Date(since), now);
    yield row(birdCode.protocol, session.name, "BGP", "master", upOrNot(state), told, info);
    if (all) yield* details(running, session);
  }
  yield endOfReply;
}

function row(code: number, name: string, ...rest: readonly string[]): BirdLine {
  const [proto = "", table = "", state = "", since = "", info = ""] = rest;
  const cells = [name.padEnd(8), proto.padEnd(8), table.padEnd(8), state.padEnd(5)];
  return { code, text: `${cells.join(" ")}  ${since.padEnd(10)}  ${info}`.trimEnd() };
}

function upOrNot(state: string): string {
  return state === "Established" ? "up" : "start";
}

function* details({ speaker }: RunningSpeaker, session: BirdSession): Generator<BirdLine> {
  const { negotiated, lastError } = session;
  const config = speaker.peers.get(session.name)?.peer.config;
  const lines: (readonly [string, string])[] = [
    ["BGP state:", session.state],
    ["  Neighbor address:", session.address],
  ];
  if (config !== undefined) lines.push(["  Neighbor AS:", String(config.remoteAs)]);
  if (negotiated !== undefined) {
    lines.push(
      ["  Source address:", negotiated.localAddress],
      ["  Hold timer:", String(negotiated.holdSeconds)],
      ["  Keepalive timer:", String(negotiated.keepaliveSeconds)],
    );
  }
  if (lastError !== undefined) lines.push(["  Last error:", lastError]);
  for (const [name, value] of lines) {
    yield { code: birdCode.protocolDetail, text: `  ${name.padEnd(19)} ${value}` };
  }
  yield { code: birdCode.protocolDetail, text: "" };
}
