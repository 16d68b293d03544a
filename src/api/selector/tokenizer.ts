/** Words that stand for themselves, punctuation and operators. */
export type TokenKind =
  | "label"
  | "string"
  | "has"
  | "all"
  | "global"
  | "=="
  | "!="
  | "in"
  | "not in"
  | "contains"
  | "starts with"
  | "ends with"
  | "{"
  | "}"
  | ","
  | "("
  | ")"
  | "!"
  | "&&"
  | "||"
  | "end";

export interface Token {
  readonly kind: TokenKind;
  /** The label of "label" and "has", the content of "string"; else empty. */
  readonly text: string;
  /** Index in the input of its first character. */
  readonly position: number;
}

/** Longest label name. */
export const maxLabelLength = 512;

const punctuation = /==|!=|&&|\|\||[{}(),!]/y;
const stringLiteral = /"([^"]*)"|'([^']*)'/y;
const call = /(has|all|global)\([ \t]*/y;
const labelName = /[A-Za-z0-9_./-]+/y;
const closing = /[ \t]*\)/y;
const blank = /[ \t]*/y;
/** Only right after a label, where a label cannot stand: labels may have these names. */
const wordOperator = /(contains)|(starts)[ \t]*with|(ends)[ \t]*with|(not)[ \t]*in|(in)/y;
const wordOperators = ["contains", "starts with", "ends with", "not in", "in"] as const;

/**
 * Splits a selector into tokens, the last of which is "end" (facts 4.4). Whitespace is space and tab.
 *
 * @throws {SyntaxError} that names the position of what is no token.
 */
export function tokenize(input: string): Token[] {
  const tokens: Token[] = [];
  let position = skipBlank(input, 0);
  while (position < input.length) {
    const [token, end] = tokenAt(input, position, tokens.at(-1)?.kind === "label");
    tokens.push(token);
    position = skipBlank(input, end);
  }
  tokens.push({ kind: "end", text: "", position });
  return tokens;
}

/** The error of every refused selector: the text, where it goes wrong, and what was expected. */
export function selectorError(input: string, position: number, expected: string): SyntaxError {
  return new SyntaxError(
    `Cannot parse selector ${JSON.stringify(input)}: expected ${expected} at position ${position}`,
  );
}

type Scanned = readonly [token: Token, end: number];

function tokenAt(input: string, position: number, afterLabel: boolean): Scanned {
  const mark = matchAt(punctuation, input, position);
  if (mark !== undefined) {
    return [{ kind: mark[0] as TokenKind, text: "", position }, position + mark[0].length];
  }
  const literal = matchAt(stringLiteral, input, position);
  if (literal !== undefined) {
    const text = literal[1] ?? literal[2] ?? "";
    return [{ kind: "string", text, position }, position + literal[0].length];
  }
  if (input[position] === '"' || input[position] === "'") {
    throw selectorError(input, position, "the closing quote of the string");
  }
  return afterLabel ? operatorAt(input, position) : operandAt(input, position);
}

function operatorAt(input: string, position: number): Scanned {
  const match = matchAt(wordOperator, input, position);
  if (match === undefined) throw selectorError(input, position, "an operator");
  const kind = wordOperators[match.slice(1).findIndex((group) => group !== undefined)] ?? "in";
  return [{ kind, text: "", position }, position + match[0].length];
}

function operandAt(input: string, position: number): Scanned {
  const opening = matchAt(call, input, position);
  if (opening === undefined) {
    const text = labelAt(input, position);
    return [{ kind: "label", text, position }, position + text.length];
  }
  const kind = opening[1] as "has" | "all" | "global";
  let end = position + opening[0].length;
  const text = kind === "has" ? labelAt(input, end) : "";
  end += text.length;
  const close = matchAt(closing, input, end);
  if (close === undefined) throw selectorError(input, end, `")" after ${kind}(`);
  return [{ kind, text, position }, end + close[0].length];
}

function labelAt(input: string, position: number): string {
  const text = matchAt(labelName, input, position)?.[0];
  if (text === undefined) throw selectorError(input, position, "a label name");
  if (text.length > maxLabelLength) {
    throw selectorError(input, position, `a label name of at most ${maxLabelLength} characters`);
  }
  return text;
}

function skipBlank(input: string, position: number): number {
  return position + (matchAt(blank, input, position)?.[0].length ?? 0);
}

function matchAt(pattern: RegExp, input: string, position: number): RegExpExecArray | undefined {
  pattern.lastIndex = position;
  return pattern.exec(input) ?? undefined;
}
