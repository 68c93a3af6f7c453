import { posix } from "node:path";
import ts from "typescript";
import { ambientExceptions, defaultExportFiles, type Exceptions } from "./allowed.ts";
import { stale } from "./import-rules.ts";
import { at, nodesOf, type Project, type SourceText, type Violation } from "./project.ts";

const fileLineMax = 400;
const functionLineMax = 60;
const parameterMax = 3;
const vagueWords = new Set(["util", "utils", "helper", "helpers", "manager", "misc", "common"]);
const ambientCalls = new Set(["setTimeout", "setInterval"]);
const ambientMembers = new Set(["Date.now", "Math.random", "process.env"]);

export function fileSize(project: Project): Violation[] {
  return [...project.files.values()].flatMap((source) => {
    const text = source.tree.text;
    const lineCount = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
    return lineCount <= fileLineMax
      ? []
      : [`${source.path}:1: ${lineCount} lines, at most ${fileLineMax}; split it by idea`];
  });
}

export function functionSize(project: Project): Violation[] {
  return eachNode(project, (source, node) => {
    if (source.isTest || !isFunction(node) || node.body === undefined) return undefined;
    const lineAt = (position: number): number =>
      source.tree.getLineAndCharacterOfPosition(position).line;
    const lineCount = lineAt(node.end) - lineAt(node.getStart(source.tree)) + 1;
    if (lineCount <= functionLineMax) return undefined;
    return `${at(source, node)}: a function of ${lineCount} lines, at most ${functionLineMax}; name its steps`;
  });
}

export function parameterCount(project: Project): Violation[] {
  return eachNode(project, (source, node) => {
    if (!isFunction(node) || node.parameters.length <= parameterMax) return undefined;
    return `${at(source, node)}: ${node.parameters.length} parameters, at most ${parameterMax}; take an options object`;
  });
}

export function noAny(project: Project): Violation[] {
  return eachNode(project, (source, node) =>
    node.kind === ts.SyntaxKind.AnyKeyword
      ? `${at(source, node)}: no any; use unknown and look`
      : undefined,
  );
}

export function noNonNull(project: Project): Violation[] {
  return eachNode(project, (source, node) =>
    ts.isNonNullExpression(node) ||
    (ts.isPropertyDeclaration(node) && node.exclamationToken !== undefined)
      ? `${at(source, node)}: no "!"; handle undefined or make it impossible`
      : undefined,
  );
}

export function noDefaultExport(project: Project): Violation[] {
  return eachNode(project, (source, node) => {
    if (defaultExportFiles.has(posix.basename(source.path))) return undefined;
    const isDefault =
      ts.isExportAssignment(node) ||
      (ts.isExportSpecifier(node) && node.name.text === "default") ||
      (ts.canHaveModifiers(node) &&
        ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword) === true);
    return isDefault ? `${at(source, node)}: no default export; name it` : undefined;
  });
}

export function fileNames(project: Project): Violation[] {
  return [...project.files.values()].flatMap(({ path }) => {
    const words = posix.basename(path).split(/[-.]/);
    const vague = words.find((word) => vagueWords.has(word.toLowerCase()));
    if (vague !== undefined)
      return [`${path}:1: "${vague}" says nothing; name the file after its one idea`];
    return words.some((word) => /[A-Z_]/.test(word)) ? [`${path}:1: write it in kebab-case`] : [];
  });
}

/** Time, chance and environment come in by ports, or a seeded simulation is a lie. */
export function noAmbient(
  project: Project,
  exceptions: Exceptions = ambientExceptions,
): Violation[] {
  const used = new Set<string>();
  const found = eachNode(project, (source, node) => {
    const name = source.isTest ? undefined : ambientName(node);
    if (name === undefined) return undefined;
    if (source.path in exceptions) {
      used.add(source.path);
      return undefined;
    }
    return `${at(source, node)}: no ${name} here; take a Clock, a Chance or an option`;
  });
  return [...found, ...stale(exceptions, used, "ambientExceptions")];
}

function ambientName(node: ts.Node): string | undefined {
  if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression)) {
    const name = `${node.expression.text}.${node.name.text}`;
    return ambientMembers.has(name) ? name : undefined;
  }
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression))
    return ambientCalls.has(node.expression.text) ? node.expression.text : undefined;
  return isNow(node) ? "new Date()" : undefined;
}

function isNow(node: ts.Node): boolean {
  if (!ts.isNewExpression(node) || !ts.isIdentifier(node.expression)) return false;
  return node.expression.text === "Date" && (node.arguments?.length ?? 0) === 0;
}

function isFunction(node: ts.Node): node is ts.FunctionLikeDeclaration {
  return (
    ts.isFunctionDeclaration(node) ||
    ts.isFunctionExpression(node) ||
    ts.isArrowFunction(node) ||
    ts.isMethodDeclaration(node) ||
    ts.isConstructorDeclaration(node) ||
    ts.isAccessor(node)
  );
}

function eachNode(
  project: Project,
  judge: (source: SourceText, node: ts.Node) => Violation | undefined,
): Violation[] {
  const violations: Violation[] = [];
  for (const source of project.files.values())
    for (const node of nodesOf(source)) {
      const violation = judge(source, node);
      if (violation !== undefined) violations.push(violation);
    }
  return violations;
}
