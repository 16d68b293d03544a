import { all, not, type Selector, sortedSet, type ValueOperator } from "./ast.ts";
import { selectorError, type Token, type TokenKind, tokenize } from "./tokenizer.ts";

/** Deepest nesting of parentheses: what is parsed is also walked by recursion. */
export const maxSelectorDepth = 200;

const valueOperators: Readonly<Partial<Record<TokenKind, ValueOperator>>> = {
  "==": "equals",
  "!=": "notEquals",
  contains: "contains",
  "starts with": "startsWith",
  "ends with": "endsWith",
};

/**
 * Parses a selector (facts 4.4). Empty text is `all()`.
 *
 *     or      = and *( "||" and )
 *     and     = operand *( "&&" operand )
 *     operand = *"!" ( "(" or ")" / "all()" / "global()" / "has(" label ")" / label test )
 *     test    = ( "==" / "!=" / "contains" / "starts with" / "ends with" ) string
 *             / ( "in" / "not in" ) "{" [ string *( "," string ) [ "," ] ] "}"
 *
 * @throws {SyntaxError} that names the position of what does not fit.
 */
export function parseSelector(text: string): Selector {
  const parser = new Parser(text);
  return parser.parse();
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokenize(text);
  }

  parse(): Selector {
    if (this.#peek().kind === "end") return all;
    const selector = this.#operands("or");
    if (this.#peek().kind !== "end") throw this.#error('"&&", "||" or the end');
    return selector;
  }

  #operands(kind: "or" | "and"): Selector {
    const parseOne = () => (kind === "or" ? this.#operands("and") : this.#operand());
    const operands = [parseOne()];
    while (this.#accept(kind === "or" ? "||" : "&&")) operands.push(parseOne());
    const [only, second] = operands;
    return only !== undefined && second === undefined ? only : { kind, operands };
  }

  #operand(): Selector {
    let negated = false;
    while (this.#accept("!")) negated = !negated;
    const selector = this.#primary();
    return negated ? not(selector) : selector;
  }

  #primary(): Selector {
    const token = this.#peek();
    switch (token.kind) {
      case "(":
        return this.#parenthesised();
      case "all":
      case "global":
        this.#next++;
        return { kind: token.kind };
      case "has":
        this.#next++;
        return { kind: "has", label: token.text };
      case "label":
        this.#next++;
        return this.#test(token.text);
      default:
        throw this.#error('a label, "has(", "all()", "global()", "!" or "("');
    }
  }

  #parenthesised(): Selector {
    if (++this.#depth > maxSelectorDepth) {
      throw this.#error(`parentheses nested at most ${maxSelectorDepth} deep`);
    }
    this.#expect("(");
    const inner = this.#operands("or");
    this.#expect(")");
    this.#depth--;
    return inner;
  }

  #test(label: string): Selector {
    const { kind } = this.#peek();
    if (kind === "in" || kind === "not in") {
      this.#next++;
      return { kind: kind === "in" ? "in" : "notIn", label, values: this.#set() };
    }
    const operator = valueOperators[kind];
    if (operator === undefined) throw this.#error("an operator");
    this.#next++;
    return { kind: operator, label, value: this.#expect("string", "a string in quotes").text };
  }

  #set(): string[] {
    const values: string[] = [];
    this.#expect("{");
    while (this.#peek().kind === "string") {
      values.push(this.#expect("string").text);
      if (!this.#accept(",")) break;
    }
    this.#expect("}", 'a string in quotes, "," or "}"');
    return sortedSet(values);
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? { kind: "end", text: "", position: this.#text.length };
  }

  #accept(kind: TokenKind): boolean {
    if (this.#peek().kind !== kind) return false;
    this.#next++;
    return true;
  }

  #expect(kind: TokenKind, name = `"${kind}"`): Token {
    const token = this.#peek();
    if (token.kind !== kind) throw this.#error(name);
    this.#next++;
    return token;
  }

  #error(expected: string): SyntaxError {
    return selectorError(this.#text, this.#peek().position, expected);
  }
}
