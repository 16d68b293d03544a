import { type IpFamily, ipFromBits } from "../../lib/ip-addr.ts";
import { version } from "../../lib/version.ts";
import type { RunningSpeaker } from "../speaker/run-speaker.ts";
import { parseBirdCommand } from "./command.ts";
import { showProtocols } from "./protocols.ts";
import { type BirdLine, birdCode, lastLine } from "./reply.ts";
import { showRoute } from "./routes.ts";
import { longTime } from "./times.ts";

/** What is answered, and when. */
export interface BirdSource {
  readonly running: RunningSpeaker;
  /** BIRD 1 has a daemon, and a socket, for each. */
  readonly family: IpFamily;
  readonly now: Date;
}

/** The greeting of each connection. */
export const greeting: BirdLine = lastLine(birdCode.ready, `BIRD ${version} ready.`);

/** The reply to one command. Undefined between lines: a good place to pause. */
export function answerBird(line: string, source: BirdSource): Iterable<BirdLine | undefined> {
  const { running, family, now } = source;
  const command = parseBirdCommand(line);
  switch (command.kind) {
    case "status":
      return showStatus(source);
    case "protocols":
      return showProtocols(running, family, command, now);
    case "routes":
      return showRoute(running, family, command.query, now);
    case "restrict":
      return [lastLine(birdCode.restricted, "Access restricted")];
    case "denied":
      return [lastLine(birdCode.denied, "Access denied: see tortie bgp --help")];
    case "unknown":
      return [lastLine(birdCode.syntaxError, "syntax error: show status, protocols or route")];
  }
}

function* showStatus({ running, now }: BirdSource): Generator<BirdLine> {
  const { speaker, startedAt } = running;
  const id = ipFromBits(BigInt(speaker.config?.routerId ?? 0), 4);
  const started = longTime(new Date(startedAt));
  yield { code: birdCode.version, text: `BIRD ${version}` };
  yield { code: birdCode.status, text: `Router ID is ${id}` };
  yield { code: birdCode.status, text: `Current server time is ${longTime(now)}` };
  yield { code: birdCode.status, text: `Last reboot on ${started}` };
  yield { code: birdCode.status, text: `Last reconfiguration on ${started}` };
  if (!speaker.converged) {
    yield { code: birdCode.recovering, text: "Graceful restart recovery in progress" };
  }
  yield lastLine(birdCode.up, "Daemon is up and running");
}
