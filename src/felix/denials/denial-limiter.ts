/**
 * Who may be told of, and how often: a bucket of tokens for each key, and one for all together. Pure:
 * the caller has the clock.
 */
export class DenialLimiter {
  readonly #buckets = new Map<string, Bucket>();
  readonly #all: Bucket = { tokens: allBurst, at: 0, suppressed: 0 };

  /**
   * @param now milliseconds, from any zero.
   * @returns how many of this key were passed over since the last that was told; undefined: pass this over.
   */
  take(key: string, now: number): number | undefined {
    const bucket = this.#buckets.get(key) ?? { tokens: keyBurst, at: now, suppressed: 0 };
    // The one used last stands last.
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > maxKeys) this.#forgetOldest();
    refill(bucket, now, { perSecond: keyPerSecond, burst: keyBurst });
    refill(this.#all, now, { perSecond: allPerSecond, burst: allBurst });
    if (bucket.tokens < 1 || this.#all.tokens < 1) {
      bucket.suppressed++;
      return undefined;
    }
    bucket.tokens--;
    this.#all.tokens--;
    const { suppressed } = bucket;
    bucket.suppressed = 0;
    return suppressed;
  }

  #forgetOldest(): void {
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}

interface Bucket {
  tokens: number;
  at: number;
  suppressed: number;
}

/** One client that tries again and again is told of at once, then every 10 s. */
const keyPerSecond = 0.1;
const keyBurst = 2;
/** A scan of ports has a key a packet. */
const allPerSecond = 20;
const allBurst = 200;
const maxKeys = 10_000;

function refill(
  bucket: Bucket,
  now: number,
  { perSecond, burst }: { readonly perSecond: number; readonly burst: number },
): void {
  bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond);
  bucket.at = now;
}
