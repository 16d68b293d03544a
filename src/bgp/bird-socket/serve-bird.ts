import { join } from "node:path";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import { type LineClient, serveLines } from "../../lib/line-server.ts";
import type { Logger } from "../../lib/log.ts";
import { aborted, type Service } from "../../lib/service.ts";
import { writePages } from "../control/write-pages.ts";
import type { RunningSpeaker } from "../speaker/run-speaker.ts";
import { answerBird, greeting } from "./answer.ts";
import { type BirdLine, replyTexts } from "./reply.ts";

const maxCommandLength = 1024;

/** Where calicoctl and probes look (facts 5.20); beside our own socket where that is elsewhere. */
export function birdSocketFolder(env: Readonly<Record<string, string | undefined>>): string {
  return env["TORTIE_RUN_DIR"] || "/var/run/calico";
}

/**
 * bird.ctl and bird6.ctl in `folder`: calicoctl, the probes of the stock image and birdcl ask there as
 * if we were BIRD. Nothing can be changed by it. Where a socket cannot be made, that is logged.
 */
export function serveBird(
  folder: string,
  deps: { readonly running: RunningSpeaker; readonly clock: Clock; readonly log: Logger },
): Service {
  const { running, clock, log } = deps;
  const serve = async (name: string, family: 4 | 6, signal: AbortSignal) => {
    const send = (lines: Iterable<BirdLine | undefined>, client: LineClient) =>
      writePages(replyTexts(lines), client);
    const handlers = {
      connected: (client: LineClient) => {
        send([greeting], client).catch(() => client.end());
      },
      line: (line: string, client: LineClient) =>
        send(answerBird(line, { running, family, now: clock.date() }), client),
    };
    const path = join(folder, name);
    try {
      await serveLines({ path, maxLength: maxCommandLength }, handlers, signal);
    } catch (error) {
      log.warn({ path, reason: errorMessage(error) }, "Cannot answer as BIRD");
      await aborted(signal);
    }
  };
  return async (signal) => {
    await Promise.all([serve("bird.ctl", 4, signal), serve("bird6.ctl", 6, signal)]);
  };
}
