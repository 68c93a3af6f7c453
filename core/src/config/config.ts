import { readFileSync } from "node:fs";
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type Document } from "yaml";
import type { z } from "zod";
import { MeshError } from "../error/mesh-error.ts";
import { nearestName } from "./nearest-name.ts";

export interface ConfigProblem {
  readonly line: number;
  readonly column: number;
  readonly path: string;
  readonly message: string;
}

/** Reads and checks a YAML file. Throws CONFIG_UNREADABLE or CONFIG_INVALID with every problem as file:line:column. */
export function readConfig<Schema extends z.ZodType>(
  schema: Schema,
  file: string,
): z.output<Schema> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new MeshError("CONFIG_UNREADABLE", `Cannot read ${file}: ${(cause as Error).message}`, {
      cause,
    });
  }
  return parseConfig(schema, text, file);
}

export function parseConfig<Schema extends z.ZodType>(
  schema: Schema,
  text: string,
  file: string,
): z.output<Schema> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const syntax = document.errors.map((error) => ({
    ...place(lines, error.pos[0]),
    path: "",
    message: error.message,
  }));
  if (syntax.length > 0) throw invalid(file, syntax);
  const result = schema.safeParse(valueOf(document, file) ?? {});
  if (result.success) return result.data;
  throw invalid(
    file,
    result.error.issues.flatMap((issue) => problemsOf(issue, document, lines)),
  );
}

/** Aliases are resolved only here: an unknown one, or a bomb of them, shows here. */
function valueOf(document: Document, file: string): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    throw invalid(file, [{ line: 1, column: 1, path: "", message: (cause as Error).message }]);
  }
}

function problemsOf(
  issue: z.core.$ZodIssue,
  document: Document,
  lines: LineCounter,
): ConfigProblem[] {
  if (issue.code === "invalid_union") {
    // The alternative that fits best is most likely the one that was meant.
    const [best] = issue.errors.filter((issues) => issues.length > 0).sort(byLength);
    const inside = best?.map((each) => ({ ...each, path: [...issue.path, ...each.path] })) ?? [];
    if (inside.length > 0) return inside.flatMap((each) => problemsOf(each, document, lines));
  }
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      const known = knownKeys(issue);
      const near = nearestName(key, known);
      const suffix = near === undefined ? "" : ` - did you mean "${near}"?`;
      return {
        ...placeOfPath(document, lines, path),
        path: path.join("."),
        message: `unknown key "${key}"${suffix}`,
      };
    });
  }
  return [
    {
      ...placeOfPath(document, lines, issue.path),
      path: issue.path.join("."),
      message: issue.message + nearestValue(issue, document),
    },
  ];
}

function byLength(left: readonly unknown[], right: readonly unknown[]): number {
  return left.length - right.length;
}

function nearestValue(issue: z.core.$ZodIssue, document: Document): string {
  if (issue.code !== "invalid_value") return "";
  const given = document.getIn(issue.path as (string | number)[]);
  if (typeof given !== "string") return "";
  const near = nearestName(given, issue.values.map(String));
  return near === undefined ? "" : ` - did you mean "${near}"?`;
}

/** Strict schemas are made by `strictObject` below, which writes the known keys into the issue's message. */
function knownKeys(issue: z.core.$ZodIssue): string[] {
  return issue.message.startsWith("known:") ? issue.message.slice("known:".length).split(",") : [];
}

function placeOfPath(
  document: Document,
  lines: LineCounter,
  path: readonly PropertyKey[],
): { line: number; column: number } {
  for (let depth = path.length; depth > 0; depth -= 1) {
    const parent =
      depth === 1
        ? document.contents
        : document.getIn(path.slice(0, depth - 1) as (string | number)[], true);
    const key = path[depth - 1];
    const offset = offsetIn(parent, key);
    if (offset !== undefined) return place(lines, offset);
  }
  return { line: 1, column: 1 };
}

/** Where a key of a map or an item of a list is written. */
function offsetIn(parent: unknown, key: PropertyKey | undefined): number | undefined {
  if (isSeq(parent)) {
    const item = parent.items[Number(key)];
    return isNode(item) ? item.range?.[0] : undefined;
  }
  if (!isMap(parent)) return undefined;
  const pair = parent.items.find(
    (item) => isScalar(item.key) && String(item.key.value) === String(key),
  );
  return pair && isScalar(pair.key) ? pair.key.range?.[0] : undefined;
}

function place(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line, column: col };
}

function invalid(file: string, problems: readonly ConfigProblem[]): MeshError {
  const text = problems.map(
    (p) => `${file}:${p.line}:${p.column}: MESH-2001 ${p.path ? `${p.path}: ` : ""}${p.message}`,
  );
  return new MeshError("CONFIG_INVALID", text.join("\n"), { details: { problems } });
}
