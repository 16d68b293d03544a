/** A bucket of tokens for each key, and one for all. Pure: the caller has the clock. */
export class RateLimit {
  readonly #perKey: Rate;
  readonly #all: Rate;
  readonly #buckets = new Map<string, Bucket>();
  readonly #total: Bucket;

  constructor(perKey: Rate, all: Rate) {
    this.#perKey = perKey;
    this.#all = all;
    this.#total = { tokens: all.burst, at: 0 };
  }

  /**
   * What is above a key's own share takes nothing of the others'.
   *
   * @param key of a set that others cannot make longer.
   * @param now milliseconds, from any zero.
   */
  take(key: string, now: number): boolean {
    const bucket = this.#buckets.get(key) ?? { tokens: this.#perKey.burst, at: now };
    this.#buckets.set(key, bucket);
    return take(bucket, this.#perKey, now) && take(this.#total, this.#all, now);
  }
}

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

interface Bucket {
  tokens: number;
  at: number;
}

function take(bucket: Bucket, { perSecond, burst }: Rate, now: number): boolean {
  bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond);
  bucket.at = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens--;
  return true;
}
