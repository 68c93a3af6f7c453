import { nearestName } from "@fleetmesh/core";
import { parseInteger } from "./cast.ts";
import type {
  ArithmeticOperator,
  ComparisonOperator,
  Expression,
  LogicOperator,
  Placed,
} from "./expression.ts";
import { CesqlSyntaxError } from "./syntax-error.ts";
import { tokenName, type Token } from "./token.ts";
import { tokenize } from "./tokenize.ts";

/** In UTF-16 units. It bounds memory and, with the depth, the stack of everything that walks over an expression. */
export const expressionLengthMax = 16_384;
const depthMax = 100;

/** How tightly operators bind (CESQL 3.6); AND, OR and XOR, all one, bind loosest and have a function of their own. */
const symbolPowers: ReadonlyMap<string, number> = new Map([
  ...["=", "!=", "<>", "<", "<=", ">", ">="].map((symbol) => [symbol, 2] as const),
  ...["+", "-"].map((symbol) => [symbol, 3] as const),
  ...["*", "/", "%"].map((symbol) => [symbol, 4] as const),
]);
const comparisonPower = 2;
const additionPower = 3;
const inPower = 5;
const likePower = 6;

const logicOperators: readonly string[] = ["AND", "OR", "XOR"];
const wordOperators: readonly string[] = [...logicOperators, "LIKE", "IN", "NOT"];
const keywords = new Set([...wordOperators, "EXISTS", "TRUE", "FALSE"]);
const anOperand = "an attribute, a value, a function, NOT, EXISTS or (";

/** CESQL 1.0. Throws CesqlSyntaxError that says what was expected, also when the expression is too long or too deep. */
export function parseCesql(text: string): Expression {
  if (text.length > expressionLengthMax)
    throw new CesqlSyntaxError(
      `the expression is longer than ${expressionLengthMax} characters`,
      expressionLengthMax,
    );
  return new Parser(tokenize(text)).whole();
}

type Shape = Pick<Placed, "at"> & { readonly parts: readonly Expression[] };

/** A Pratt parser. Equal operators are taken from left to right, AND, OR and XOR too, as the text of the specification has it. */
class Parser {
  readonly #tokens: readonly Token[];
  #index = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): Expression {
    const expression = this.#expression();
    if (this.#next.kind !== "end") throw this.#unexpected("an operator or the end");
    return expression;
  }

  #expression(): Expression {
    let left = this.#binary(comparisonPower);
    for (let operator = this.#logicOperator(); operator; operator = this.#logicOperator()) {
      const operands = [left];
      while (this.#acceptWord(operator)) operands.push(this.#binary(comparisonPower));
      left = {
        kind: "logic",
        operator,
        operands,
        ...this.#placed({ at: left.at, parts: operands }),
      };
    }
    return left;
  }

  #binary(powerMin: number): Expression {
    let left = this.#operand();
    for (let power = this.#power(); power >= powerMin; power = this.#power())
      left = this.#infix(left, power);
    return left;
  }

  #infix(left: Expression, power: number): Expression {
    if (power >= inPower) return this.#wordInfix(left);
    const symbol = this.#take().text;
    const right = this.#binary(power + 1);
    const placed = this.#placed({ at: left.at, parts: [left, right] });
    if (power >= additionPower)
      return { kind: "arithmetic", operator: symbol as ArithmeticOperator, left, right, ...placed };
    return { kind: "comparison", operator: symbol as ComparisonOperator, left, right, ...placed };
  }

  #wordInfix(operand: Expression): Expression {
    const { at } = operand;
    const isNegated = this.#acceptWord("NOT");
    if (this.#acceptWord("LIKE")) {
      const pattern = this.#pattern();
      return {
        kind: "like",
        operand,
        pattern,
        isNegated,
        ...this.#placed({ at, parts: [operand] }),
      };
    }
    this.#take();
    this.#expect("(", "( and the values to look among");
    this.#enter();
    const elements = this.#list();
    this.#depth -= 1;
    const parts = [operand, ...elements];
    return { kind: "in", operand, elements, isNegated, ...this.#placed({ at, parts }) };
  }

  #pattern(): string {
    if (this.#next.kind !== "text") throw this.#unexpected("a pattern in quotes after LIKE");
    return this.#take().text;
  }

  #operand(): Expression {
    this.#enter();
    const expression = this.#operandInside();
    this.#depth -= 1;
    return expression;
  }

  /** Whatever calls itself comes through here, before it does. */
  #enter(): void {
    this.#depth += 1;
    if (this.#depth > depthMax) throw this.#tooDeep();
  }

  #operandInside(): Expression {
    const token = this.#next;
    switch (token.kind) {
      case "word":
        return this.#word(token);
      case "integer":
        return this.#integer(this.#take(), "");
      case "text":
        return this.#literal(this.#take(), token.text);
      case "symbol":
        return this.#symbol(token);
      case "end":
        throw this.#unexpected(anOperand);
    }
  }

  #symbol({ text, at }: Token): Expression {
    if (text === "(") {
      this.#take();
      const inside = this.#expression();
      this.#expect(")", "an operator or )");
      return { ...inside, at, end: this.#endOfLast };
    }
    if (text !== "-" && text !== "+") throw this.#unexpected(anOperand);
    const sign = this.#take();
    const { kind, at: digitsAt } = this.#next;
    if (kind === "integer" && digitsAt === sign.end) return this.#integer(this.#take(), text);
    if (text === "+") throw this.#unexpected("digits right after +");
    const operand = this.#operand();
    return { kind: "negate", operand, ...this.#placed({ at, parts: [operand] }) };
  }

  #word({ text, at }: Token): Expression {
    const upper = text.toUpperCase();
    if (upper === "TRUE" || upper === "FALSE") return this.#literal(this.#take(), upper === "TRUE");
    if (upper === "NOT") {
      this.#take();
      const operand = this.#operand();
      return { kind: "not", operand, ...this.#placed({ at, parts: [operand] }) };
    }
    if (upper === "EXISTS") {
      this.#take();
      const name = this.#attributeName("an attribute's name, without brackets, after EXISTS");
      return { kind: "exists", name, ...this.#placed({ at, parts: [] }) };
    }
    if (this.#isSymbol("(", 1) && !keywords.has(upper)) return this.#call();
    const name = this.#attributeName(anOperand);
    return { kind: "attribute", name, ...this.#placed({ at, parts: [] }) };
  }

  #call(): Expression {
    const { text, at } = this.#take();
    if (!/^[A-Z][A-Z_]*$/i.test(text))
      throw new CesqlSyntaxError(`"${text.slice(0, 40)}" cannot be a function's name`, at);
    this.#take();
    const operands = this.#isSymbol(")") ? this.#none() : this.#list();
    const placed = this.#placed({ at, parts: operands });
    return { kind: "call", name: text.toUpperCase(), operands, ...placed };
  }

  #none(): Expression[] {
    this.#take();
    return [];
  }

  /** Expressions with commas between them, and the closing bracket. */
  #list(): Expression[] {
    const elements = [this.#expression()];
    while (this.#isSymbol(",")) {
      this.#take();
      elements.push(this.#expression());
    }
    this.#expect(")", "an operator, a comma or )");
    return elements;
  }

  #attributeName(wanted: string): string {
    const { kind, text, at } = this.#next;
    const isName = kind === "word" || kind === "integer";
    if (!isName || keywords.has(text.toUpperCase())) throw this.#unexpected(wanted);
    if (text.includes("_"))
      throw new CesqlSyntaxError("an attribute's name has letters and digits only", at);
    return asKey(this.#take().text.toLowerCase());
  }

  #integer(digits: Token, sign: string): Expression {
    const value = parseInteger(sign + digits.text);
    const at = digits.at - sign.length;
    if (value === undefined)
      throw new CesqlSyntaxError("the integer is outside -2147483648 to 2147483647", at);
    return { kind: "literal", value, ...this.#placed({ at, parts: [] }) };
  }

  #literal({ at }: Token, value: string | boolean): Expression {
    return { kind: "literal", value, ...this.#placed({ at, parts: [] }) };
  }

  /** Of the operator that comes next; 0 when none does that binds tighter than AND. */
  #power(): number {
    const { kind, text } = this.#next;
    if (kind === "symbol") return symbolPowers.get(text) ?? 0;
    if (kind !== "word") return 0;
    const isNegation = text.toUpperCase() === "NOT";
    const token = isNegation ? this.#tokens[this.#index + 1] : this.#next;
    const operator = token?.kind === "word" ? token.text.toUpperCase() : "";
    if (operator === "LIKE") return likePower;
    return operator === "IN" ? inPower : 0;
  }

  #logicOperator(): LogicOperator | undefined {
    if (this.#next.kind !== "word") return undefined;
    const upper = this.#next.text.toUpperCase();
    return logicOperators.includes(upper) ? (upper as LogicOperator) : undefined;
  }

  #placed({ at, parts }: Shape): Placed {
    let height = 1;
    for (const part of parts) height = Math.max(height, part.height + 1);
    if (height > depthMax) throw this.#tooDeep();
    return { at, end: this.#endOfLast, height };
  }

  #acceptWord(word: string): boolean {
    const { kind, text } = this.#next;
    if (kind !== "word" || text.toUpperCase() !== word) return false;
    this.#take();
    return true;
  }

  #expect(symbol: string, wanted: string): void {
    if (!this.#isSymbol(symbol)) throw this.#unexpected(wanted);
    this.#take();
  }

  #isSymbol(symbol: string, ahead = 0): boolean {
    const token = this.#tokens[this.#index + ahead];
    return token?.kind === "symbol" && token.text === symbol;
  }

  get #next(): Token {
    return this.#tokens[this.#index] ?? { kind: "end", text: "", at: 0, end: 0 };
  }

  get #endOfLast(): number {
    return this.#tokens[this.#index - 1]?.end ?? 0;
  }

  #take(): Token {
    const token = this.#next;
    this.#index += 1;
    return token;
  }

  #tooDeep(): CesqlSyntaxError {
    const what = `expressions lie in one another more than ${depthMax} deep`;
    return new CesqlSyntaxError(what, this.#next.at);
  }

  #unexpected(wanted: string): CesqlSyntaxError {
    const found = this.#next;
    const what = `expected ${wanted}, found ${tokenName(found)}${hintFor(found)}`;
    return new CesqlSyntaxError(what, found.at);
  }
}

/**
 * The same text, as V8 keeps names of properties. One that is cut out of a longer text and used to read a property has been
 * seen, rarely, to read undefined instead (Node 20).
 */
function asKey(name: string): string {
  return Object.keys({ [name]: true })[0] ?? name;
}

function hintFor({ kind, text }: Token): string {
  const upper = text.toUpperCase();
  if (kind === "symbol" && text === "=") return "; two values are compared with one =";
  if (kind !== "word" || keywords.has(upper)) return "";
  if (upper === "IS") return '; whether an attribute is there is asked with "EXISTS subject"';
  const near = text.length < 3 || text.length > 10 ? undefined : nearestName(upper, wordOperators);
  return near === undefined ? "" : `; did you mean ${near}?`;
}
