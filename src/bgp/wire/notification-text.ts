import { familyOf } from "./family.ts";
import type { NotificationMessage } from "./message.ts";
import { decodeShutdownCommunication } from "./shutdown-communication.ts";

type Body = Omit<NotificationMessage, "kind">;

/** What the data of a subcode says, in words; undefined when it says nothing. */
type DataText = (data: Uint8Array) => string | undefined;

interface Subcode {
  readonly name: string;
  readonly data?: DataText;
}

/** Names of IANA's registries "BGP Error (Notification) Codes" and "... Subcodes". */
const codes: Readonly<
  Record<number, { readonly name: string; readonly subcodes?: Readonly<Record<number, Subcode>> }>
> = {
  1: {
    name: "Message Header Error",
    subcodes: {
      1: { name: "Connection Not Synchronized" },
      2: { name: "Bad Message Length", data: number16((length) => `length ${length}`) },
      3: { name: "Bad Message Type", data: octet((type) => `type ${type}`) },
    },
  },
  2: {
    name: "OPEN Message Error",
    subcodes: {
      1: { name: "Unsupported Version Number", data: number16((v) => `the peer speaks ${v}`) },
      2: { name: "Bad Peer AS" },
      3: { name: "Bad BGP Identifier" },
      4: { name: "Unsupported Optional Parameter" },
      5: { name: "Authentication Failure" },
      6: { name: "Unacceptable Hold Time" },
      7: { name: "Unsupported Capability", data: octet((code) => `capability ${code}`) },
      11: { name: "Role Mismatch" },
    },
  },
  3: {
    name: "UPDATE Message Error",
    subcodes: {
      1: { name: "Malformed Attribute List" },
      2: { name: "Unrecognized Well-known Attribute", data: attribute },
      3: { name: "Missing Well-known Attribute", data: octet((code) => `attribute ${code}`) },
      4: { name: "Attribute Flags Error", data: attribute },
      5: { name: "Attribute Length Error", data: attribute },
      6: { name: "Invalid ORIGIN Attribute" },
      7: { name: "AS Routing Loop" },
      8: { name: "Invalid NEXT_HOP Attribute" },
      9: { name: "Optional Attribute Error", data: attribute },
      10: { name: "Invalid Network Field" },
      11: { name: "Malformed AS_PATH" },
    },
  },
  4: { name: "Hold Timer Expired" },
  5: {
    name: "Finite State Machine Error",
    subcodes: {
      1: { name: "Unexpected Message in OpenSent" },
      2: { name: "Unexpected Message in OpenConfirm" },
      3: { name: "Unexpected Message in Established" },
    },
  },
  6: {
    name: "Cease",
    subcodes: {
      1: { name: "Maximum Number of Prefixes Reached", data: prefixLimit },
      2: { name: "Administrative Shutdown", data: shutdownWords },
      3: { name: "Peer De-configured" },
      4: { name: "Administrative Reset", data: shutdownWords },
      5: { name: "Connection Rejected" },
      6: { name: "Other Configuration Change" },
      7: { name: "Connection Collision Resolution" },
      8: { name: "Out of Resources" },
      9: { name: "Hard Reset", data: hardResetReason },
      10: { name: "BFD Down" },
    },
  },
  7: { name: "ROUTE-REFRESH Message Error", subcodes: { 1: { name: "Invalid Message Length" } } },
  8: { name: "Send Hold Timer Expired" },
};

/** Name of a NOTIFICATION: "Cease/Connection Rejected". Unknown codes stay numbers. */
export function describeNotification({ code, subcode }: Omit<Body, "data">): string {
  const { name = `Error ${code}`, subcodes } = codes[code] ?? {};
  return subcode === 0 ? name : `${name}/${subcodes?.[subcode]?.name ?? subcode}`;
}

/**
 * A NOTIFICATION in words for operators, with what its data says: "Cease/Administrative Shutdown:
 * \"back at 5\"", "Cease/Hard Reset: Cease/Peer De-configured". One line, whatever the peer sent.
 */
export function explainNotification({ code, subcode, data }: Body): string {
  const title = describeNotification({ code, subcode });
  const detail = codes[code]?.subcodes?.[subcode]?.data?.(data);
  return detail === undefined ? title : `${title}: ${detail}`;
}

function octet(say: (value: number) => string): DataText {
  return ([first]) => (first === undefined ? undefined : say(first));
}

function number16(say: (value: number) => string): DataText {
  return ([high, low]) =>
    high === undefined || low === undefined ? undefined : say((high << 8) | low);
}

/** The attribute as it was received: flags, code, ... */
function attribute([, code]: Uint8Array): string | undefined {
  return code === undefined ? undefined : `attribute ${code}`;
}

/** AFI (2), SAFI (1), limit (4) (RFC 4486 section 4). */
function prefixLimit(data: Uint8Array): string | undefined {
  if (data.length !== 7) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const family = familyOf(view.getUint16(0), view.getUint8(2));
  const name = family === undefined ? "prefixes" : `IPv${family} prefixes`;
  return `at most ${view.getUint32(3)} ${name}`;
}

/** Quoted and escaped as JSON does it: no control character, so no second line in a log. */
function shutdownWords(data: Uint8Array): string | undefined {
  const words = decodeShutdownCommunication(data);
  return words === undefined ? undefined : printable(JSON.stringify(words));
}

function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const point = character.codePointAt(0) ?? 0;
    return `\\u{${point.toString(16)}}`;
  });
}

/** The NOTIFICATION inside (RFC 8538 section 3.1), which is not a hard reset itself. */
function hardResetReason([code, subcode, ...data]: Uint8Array): string | undefined {
  if (code === undefined || subcode === undefined) return undefined;
  if (code === 6 && subcode === 9) return undefined;
  return explainNotification({ code, subcode, data: Uint8Array.from(data) });
}
