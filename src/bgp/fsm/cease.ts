import { cease, errorCode, hardReset, type NotificationBody } from "../wire/notification.ts";
import { encodeShutdownCommunication } from "../wire/shutdown-communication.ts";
import type { CeaseReason, FsmConfig } from "./events.ts";
import type { Fsm } from "./fsm.ts";

/**
 * Those that end the session and its routes, as RFC 8538 section 5 suggests; and BFD Down (RFC 9384),
 * which says that nothing is forwarded any more.
 */
const hard: ReadonlySet<number> = new Set([
  cease.maxPrefixes,
  cease.administrativeShutdown,
  cease.peerDeconfigured,
  cease.hardReset,
  cease.bfdDown,
]);
/** Those by which a person, or a decision between two connections, ends one that works. */
const partings: ReadonlySet<number> = new Set([
  cease.administrativeShutdown,
  cease.peerDeconfigured,
  cease.administrativeReset,
  cease.connectionRejected,
  cease.configurationChange,
  cease.collision,
]);
/** Those that may carry words (RFC 9003 section 2). */
const withWords: ReadonlySet<number> = new Set([
  cease.administrativeShutdown,
  cease.administrativeReset,
]);

/**
 * The Cease for `reason`: with its words (RFC 9003), and where both sides keep routes over a
 * NOTIFICATION but this one means an end, inside a Hard Reset (RFC 8538 section 3). Pure.
 */
export function ceaseNotification(
  { ceaseSubcode, message = "" }: CeaseReason,
  keepsRoutesOverNotification: boolean,
): NotificationBody {
  // A Hard Reset of its own is the hard form of an Administrative Reset.
  const subcode = ceaseSubcode === cease.hardReset ? cease.administrativeReset : ceaseSubcode;
  const data = encodeShutdownCommunication(withWords.has(subcode) ? message : "");
  const plain = { code: errorCode.cease, subcode, data };
  return keepsRoutesOverNotification && hard.has(ceaseSubcode) ? hardReset(plain) : plain;
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
  if (code === errorCode.cease && subcode === cease.hardReset) return false;
  return capability.notification === true && config.gracefulRestartSeconds > 0;
}

/**
 * The peer may keep our routes when TCP ends: both have said that they can (RFC 4724 section 4.2). Also
 * one that keeps none of its own may keep ours, so its list of families does not matter.
 */
export function peerKeepsOurs({ open }: Fsm, config: FsmConfig): boolean {
  const isHelper = open?.capabilities.some(({ kind }) => kind === "gracefulRestart") ?? false;
  return isHelper && config.gracefulRestartSeconds > 0;
}

/** The session did not fail: somebody has ended it, and may let it start again at any time. */
export function isParting({ code, subcode, data }: NotificationBody): boolean {
  if (code !== errorCode.cease) return false;
  const isHard = subcode === cease.hardReset && data[0] === errorCode.cease;
  return partings.has(isHard ? (data[1] ?? 0) : subcode);
}
