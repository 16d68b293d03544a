import { hash, randomBytes } from "node:crypto";

/** So that fingerprints tell nothing outside this process. */
const salt = randomBytes(16).toString("hex");

/**
 * A text that must not be shown: what prints, logs or serialises it gets a fingerprint, which is equal
 * for equal secrets within one process, so that configurations that hold it can be compared.
 */
export class Secret {
  readonly fingerprint: string;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    this.fingerprint = hash("sha256", salt + text).slice(0, 16);
  }

  /** The text itself. */
  reveal(): string {
    return this.#text;
  }

  toJSON(): string {
    return `secret ${this.fingerprint}`;
  }

  toString(): string {
    return this.toJSON();
  }
}
