import {
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from "node:crypto";

const keyLength = 32;
/** As base64url, without padding. */
const publicKeyPattern = /^[A-Za-z0-9_-]{43}$/;

/** Public keys that are remembered with what was made of them. */
const maxShared = 10_000;

/**
 * This process' X25519 key pair (RFC 7748), and the keys that it shares with other nodes. The private
 * key never leaves this object.
 */
export class PathKeys {
  readonly #privateKey: KeyObject;
  readonly publicKey: string;
  readonly #shared = new Map<string, Uint8Array | undefined>();

  constructor() {
    const { privateKey, publicKey } = generateKeyPairSync("x25519");
    this.#privateKey = privateKey;
    this.publicKey = publicKey.export({ format: "jwk" })["x"] ?? "";
  }

  /** The key of this pair of nodes, the same on both; undefined when `publicKey` is none. */
  sharedWith(publicKey: string): Uint8Array | undefined {
    if (!publicKeyPattern.test(publicKey)) return undefined;
    if (!this.#shared.has(publicKey)) {
      if (this.#shared.size >= maxShared) this.#shared.clear();
      this.#shared.set(publicKey, this.#derive(publicKey));
    }
    return this.#shared.get(publicKey);
  }

  #derive(peer: string): Uint8Array | undefined {
    if (peer === this.publicKey) return undefined;
    try {
      const key = { kty: "OKP", crv: "X25519", x: peer };
      const publicKey = createPublicKey({ key, format: "jwk" });
      const secret = diffieHellman({ privateKey: this.#privateKey, publicKey });
      const salt = [this.publicKey, peer].sort().join(".");
      return new Uint8Array(hkdfSync("sha256", secret, salt, "tortie path check 1", keyLength));
    } catch {
      // A point of small order: no secret comes of it.
      return undefined;
    }
  }
}
