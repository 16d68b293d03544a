/**
 * The control protocol of BIRD (its doc/reply_codes): a reply is lines with a code of four digits,
 * "1002-text"; lines of the same code follow as " text"; the last is "0000 text".
 */
export interface BirdLine {
  readonly code: number;
  readonly text: string;
  /** The reply ends with it. */
  readonly last?: true;
}

export const birdCode = {
  ok: 0,
  ready: 1,
  up: 13,
  routeCount: 14,
  restricted: 16,
  recovering: 24,
  version: 1000,
  protocol: 1002,
  protocolDetail: 1006,
  route: 1007,
  routeDetail: 1008,
  status: 1011,
  attributes: 1012,
  protocolHeading: 2002,
  notFound: 8001,
  noProtocol: 8003,
  denied: 8007,
  syntaxError: 9001,
} as const;

export const endOfReply: BirdLine = { code: birdCode.ok, text: "", last: true };

export function lastLine(code: number, text: string): BirdLine {
  return { code, text, last: true };
}

/** The reply as it is sent. Undefined passes through: a good place to pause. */
export function* replyTexts(lines: Iterable<BirdLine | undefined>): Generator<string | undefined> {
  let before: number | undefined;
  for (const line of lines) {
    yield line === undefined ? undefined : `${lineText(line, before)}\n`;
    before = line?.code ?? before;
  }
}

function lineText({ code, text, last }: BirdLine, before: number | undefined): string {
  const clean = text.replaceAll(/\p{Cc}/gu, (char) => (char === "\t" ? char : " "));
  if (last !== true && code === before) return ` ${clean}`;
  return `${String(code).padStart(4, "0")}${last === true ? " " : "-"}${clean}`;
}
