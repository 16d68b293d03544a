import type { PathAttributes } from "../../../src/bgp/wire/message.ts";

/**
 * Malformed messages, one of each class, and what must become of them. NN stands for the number of the
 * row, so that each has a peer and prefixes of its own.
 */
export interface MalformedRow {
  /** RFC and section that say so. */
  readonly rule: string;
  readonly error: string;
  /** The peer is in our AS. Else in another one. */
  readonly internal?: true;
  /** The whole message, in hexadecimal. */
  readonly message: string;
  readonly outcome: Outcome;
  /** In the peer's last error. */
  readonly words: RegExp;
}

export type Outcome =
  /** The prefix of the message is gone, the session goes on. */
  | { readonly kind: "withdraw"; readonly family: 4 | 6 }
  /** The prefix is told with what was good in the message, and the session goes on. */
  | {
      readonly kind: "discard";
      readonly without?: keyof PathAttributes;
      readonly kept?: Partial<PathAttributes>;
    }
  | { readonly kind: "reset"; readonly notification: string };

export const withdraw: Outcome = { kind: "withdraw", family: 4 };
export const withdraw6: Outcome = { kind: "withdraw", family: 6 };
export const reset = (notification: string): Outcome => ({ kind: "reset", notification });
export const discard = (without: keyof PathAttributes): Outcome => ({ kind: "discard", without });
export const keep = (kept: Partial<PathAttributes>): Outcome => ({ kind: "discard", kept });
