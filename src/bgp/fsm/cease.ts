import {
  cease,
  describeNotification,
  errorCode,
  type NotificationBody,
} from "../wire/notification.ts";
import type { CeaseReason, FsmConfig } from "./events.ts";
import type { Fsm } from "./fsm.ts";

/** Subcodes of Cease that cease of wire/notification.ts does not name (RFC 4486, RFC 8538, RFC 9384). */
const maxPrefixes = 1;
const administrativeReset = 4;
const hardReset = 9;
const bfdDown = 10;

/**
 * Those that end the session and its routes, as RFC 8538 section 5 suggests; and BFD Down (RFC 9384),
 * which says that nothing is forwarded any more.
 */
const hard: ReadonlySet<number> = new Set([
  maxPrefixes,
  cease.administrativeShutdown,
  cease.peerDeconfigured,
  hardReset,
  bfdDown,
]);
/** Those that may carry words (RFC 9003 section 2). */
const withWords: ReadonlySet<number> = new Set([cease.administrativeShutdown, administrativeReset]);
const maxWordsBytes = 255;

/**
 * The Cease for `reason`: with its words (RFC 9003), and where both sides keep routes over a
 * NOTIFICATION but this one means an end, inside a Hard Reset (RFC 8538 section 3). Pure.
 */
export function ceaseNotification(
  { ceaseSubcode, message = "" }: CeaseReason,
  keepsRoutesOverNotification: boolean,
): NotificationBody {
  // A Hard Reset of its own is the hard form of an Administrative Reset.
  const subcode = ceaseSubcode === hardReset ? administrativeReset : ceaseSubcode;
  const data = withWords.has(subcode) && message !== "" ? encodeWords(message) : noData;
  if (!keepsRoutesOverNotification || !hard.has(ceaseSubcode)) {
    return { code: errorCode.cease, subcode, data };
  }
  const inner = Uint8Array.of(errorCode.cease, subcode, ...data);
  return { code: errorCode.cease, subcode: hardReset, data: inner };
}

/**
 * RFC 4724 section 4.2: the peer's routes stay when TCP ends and it has said that it can restart. With
 * a NOTIFICATION only where both have said so (RFC 8538 section 4), and not when it is a Hard Reset.
 */
export function keepsRoutes(fsm: Fsm, config: FsmConfig, notification?: NotificationBody): boolean {
  if (fsm.state !== "Established") return false;
  const capability = fsm.open?.capabilities.find(({ kind }) => kind === "gracefulRestart");
  if (capability?.kind !== "gracefulRestart" || capability.families.length === 0) return false;
  if (notification === undefined) return true;
  const { code, subcode } = notification;
  if (code === errorCode.cease && subcode === hardReset) return false;
  return capability.notification === true && config.gracefulRestartSeconds > 0;
}

/** Text of a NOTIFICATION with what is inside a Hard Reset and the words for people, quoted. */
export function explainNotification(notification: NotificationBody): string {
  const { code, subcode, data } = notification;
  const name = describeNotification(notification);
  if (code !== errorCode.cease) return name;
  if (subcode === hardReset && data.length >= 2) {
    const [innerCode = 0, innerSubcode = 0] = data;
    const inner = { code: innerCode, subcode: innerSubcode, data: data.subarray(2) };
    // Only one level: a Hard Reset in a Hard Reset means nothing.
    const isNested = innerCode === errorCode.cease && innerSubcode === hardReset;
    return `${name} (${isNested ? name : explainNotification(inner)})`;
  }
  const words = withWords.has(subcode) ? decodeWords(data) : "";
  return words === "" ? name : `${name}: "${words}"`;
}

const noData = new Uint8Array(0);

/** Length (1), UTF-8; cut between two characters when it is too long. */
function encodeWords(text: string): Uint8Array {
  const bytes = new Uint8Array(1 + maxWordsBytes);
  const { written } = new TextEncoder().encodeInto(text, bytes.subarray(1));
  bytes[0] = written;
  return bytes.subarray(0, 1 + written);
}

/** On one line and without control characters: it goes to logs and terminals. */
function decodeWords(data: Uint8Array): string {
  const length = data[0] ?? 0;
  if (length > data.length - 1) return "";
  return new TextDecoder()
    .decode(data.subarray(1, 1 + length))
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}"]+/gu, " ")
    .trim();
}
