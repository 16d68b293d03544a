import { message } from "./octets.ts";

/** What comes in place of an OPEN, or behind it, and the NOTIFICATION that answers it. */
export const openRows: readonly {
  readonly rule: string;
  readonly error: string;
  readonly internal?: true;
  readonly messages: readonly string[];
  readonly notification: string;
  readonly data?: string;
  readonly words: RegExp;
}[] = [
  {
    rule: "RFC 4271 section 6.2",
    error: "version 3",
    messages: [message(1, "03fde7005a0a6301NN00")],
    notification: "2/1",
    data: "0004",
    words: /BGP version 3/,
  },
  {
    rule: "RFC 4271 section 6.2",
    error: "another AS",
    messages: [message(1, "04fde6005a0a6301NN00")],
    notification: "2/2",
    words: /AS is 64998, configured is 64999/,
  },
  {
    rule: "RFC 7607 section 2",
    error: "AS 0",
    messages: [message(1, "040000005a0a6301NN00")],
    notification: "2/2",
    words: /AS is 0, configured is 64999/,
  },
  {
    rule: "RFC 6286 section 2.2",
    error: "BGP identifier 0",
    messages: [message(1, "04fde7005a0000000000")],
    notification: "2/3",
    words: /router id is 0\.0\.0\.0/,
  },
  {
    rule: "RFC 6286 section 2.2",
    error: "our BGP identifier from our AS",
    internal: true,
    messages: [message(1, "04fc00005a0a63000100")],
    notification: "2/3",
    words: /router id is ours/,
  },
  {
    rule: "RFC 4271 section 6.2",
    error: "a hold time of 1 s",
    messages: [message(1, "04fde700010a6301NN00")],
    notification: "2/6",
    words: /hold time is 1 s/,
  },
  {
    rule: "RFC 4271 section 6.2",
    error: "an unknown optional parameter",
    messages: [message(1, "04fde7005a0a6301NN0409020000")],
    notification: "2/4",
    words: /optional parameter 9 is not known/,
  },
  {
    rule: "RFC 4271 section 6.2",
    error: "optional parameters run past the message",
    messages: [message(1, "04fde7005a0a6301NN0902")],
    notification: "2/0",
    words: /./,
  },
  {
    rule: "RFC 5492 section 5",
    error: "no family in common",
    messages: [message(1, "04fde7005a0a6301NN08020601040019 0041")],
    notification: "2/7",
    words: /no address family in common/,
  },
  {
    rule: "RFC 4271 section 6.1",
    error: "OPEN of 28 octets",
    messages: [message(1, "04fde7005a0a6301NN")],
    notification: "1/2",
    words: /type 1 is 28 octets/,
  },
  {
    rule: "RFC 6608 section 3",
    error: "KEEPALIVE in OpenSent",
    messages: [message(4, "")],
    notification: "5/1",
    words: /in OpenSent/,
  },
  {
    rule: "RFC 6608 section 3",
    error: "UPDATE in OpenConfirm",
    messages: [message(1, "04fde7005a0a6301NN00"), message(2, "00000000")],
    notification: "5/2",
    words: /in OpenConfirm/,
  },
];
