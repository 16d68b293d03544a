import { invariant } from "../../lib/brand.ts";
import { attributesOf, headerBytes, type NetlinkMessage, textOf } from "./message.ts";
import { errnoText } from "./netlink-error.ts";

/** What the kernel answers requests with: NLMSG_ERROR and NLMSG_DONE (linux/netlink.h). */

export const answerType = { error: 2, done: 3 } as const;

const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const attributeMessage = 1;

export interface Refusal {
  /** Positive, as in errno.h. */
  readonly errno: number;
  /** The kernel's own words when it gave any. */
  readonly message: string;
}

/** Undefined when the number is 0: an acknowledgement, or the plain end of a list. */
export function refusalOf(message: NetlinkMessage): Refusal | undefined {
  const { type, body } = message;
  if (type === answerType.done && body.length < 4) return undefined;
  invariant(body.length >= 4, "an NLMSG_ERROR carries an errno");
  const errno = -body.readInt32LE(0);
  if (errno <= 0) return undefined;
  return { errno, message: extendedText(message) ?? errnoText(errno) };
}

/** NLMSGERR_ATTR_MSG of an extended acknowledgement: after the request that it echoes, if any. */
function extendedText({ type, flags, body }: NetlinkMessage): string | undefined {
  if ((flags & NLM_F_ACK_TLVS) === 0) return undefined;
  if (type === answerType.done) return textOf(attributesOf(body, 4).get(attributeMessage));
  if (body.length < 4 + headerBytes) return undefined;
  const echoed = (flags & NLM_F_CAPPED) !== 0 ? headerBytes : body.readUInt32LE(4);
  return textOf(attributesOf(body, 4 + ((echoed + 3) & ~3)).get(attributeMessage));
}
