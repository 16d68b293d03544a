/** Answers of one kind, and objects of one answer. More are forgotten, or not kept. */
const kept = 256;

/** What asks the database which kinds were changed after a revision (Database.kindsChangedAfter). */
type AskChanges = (revision: number) => {
  readonly kinds: readonly string[] | undefined;
  readonly revision: number;
};

/**
 * Answers of the database that still hold, since no object of their kind was changed after them. That is
 * asked once a turn, which takes 5 us, where the configuration, the pools, the reservations and the node,
 * which every address goes by, take 40.
 */
export class KnownAnswers {
  readonly #askChanges: AskChanges;
  readonly #answers = new Map<string, Map<string, unknown>>();
  #revision = 0;
  #isFresh = false;

  constructor(askChanges: AskChanges) {
    this.#askChanges = askChanges;
  }

  /** The revision that answers are of. */
  get revision(): number {
    return this.#revision;
  }

  /** What `read` gives, or gave before to the same `question` about the `kind`. */
  get<Answer extends { readonly items: readonly unknown[] }>(
    kind: string,
    question: string,
    read: () => Answer,
  ): Answer {
    this.#refresh();
    const answers = this.#answersOf(kind);
    const known = answers.get(question) as Answer | undefined;
    if (known !== undefined) return known;
    const answer = read();
    if (answer.items.length > kept) return answer;
    if (answers.size >= kept) answers.clear();
    answers.set(question, answer);
    return answer;
  }

  /** A write of this process. Where another one's lies before it, the next question asks for both. */
  wrote(kinds: readonly string[], revisions: readonly number[]): void {
    this.#isFresh = false;
    if (revisions[0] !== this.#revision + 1) return;
    for (const kind of kinds) this.#answers.delete(kind);
    this.#revision = revisions.at(-1) ?? this.#revision;
  }

  #answersOf(kind: string): Map<string, unknown> {
    const known = this.#answers.get(kind);
    if (known !== undefined) return known;
    const answers = new Map<string, unknown>();
    this.#answers.set(kind, answers);
    return answers;
  }

  #refresh(): void {
    if (this.#isFresh) return;
    const { kinds, revision } = this.#askChanges(this.#revision);
    if (kinds === undefined) this.#answers.clear();
    else for (const kind of kinds) this.#answers.delete(kind);
    this.#revision = revision;
    this.#isFresh = true;
    queueMicrotask(() => {
      this.#isFresh = false;
    });
  }
}
