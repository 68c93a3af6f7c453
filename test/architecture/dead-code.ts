import { posix } from "node:path";
import ts from "typescript";
import { publicExports, type Exceptions } from "./allowed.ts";
import { stale } from "./import-rules.ts";
import { linksOf, targetOf } from "./module-link.ts";
import { at, type Project, type SourceText, type Violation } from "./project.ts";

/** Source files that no index, main, thread or test leads to. */
export function deadFiles(project: Project): Violation[] {
  const reached = new Set<string>();
  const waiting = [...project.files.values()].filter((source) => isEntry(project, source));
  for (let source = waiting.pop(); source !== undefined; source = waiting.pop()) {
    if (reached.has(source.path)) continue;
    reached.add(source.path);
    for (const { specifier } of linksOf(source)) {
      const target = project.files.get(targetOf(project, source, specifier) ?? "");
      if (target !== undefined) waiting.push(target);
    }
  }
  return [...project.files.keys()]
    .filter((path) => !reached.has(path))
    .map((path) => `${path}:1: nothing leads to this file; use it or remove it`);
}

function isEntry(project: Project, source: SourceText): boolean {
  const file = posix.basename(source.path);
  if (source.path.endsWith("/src/index.ts") || file === "main.ts") return true;
  if (/\.(test|config)\.ts$/.test(file)) return true;
  if (file.endsWith("-thread.ts")) return isNamed(project, file.slice(0, -".ts".length));
  // Programs that a test or a bench starts by path, perhaps compiled.
  const names = [file, file.replace(/\.ts$/, ".js")];
  return source.workspace === "test" && names.some((name) => isNamed(project, name));
}

/** Threads are started by name: some other file must say it. */
function isNamed(project: Project, name: string): boolean {
  for (const source of project.files.values())
    if (source.tree.text.includes(`"${name}"`) || source.tree.text.includes(`/${name}"`))
      return true;
  return false;
}

interface Declared {
  readonly node: ts.Node;
  readonly isType: boolean;
}

/** Exports of source files that no other file imports. A type may stand alone if its own file uses it. */
export function deadExports(project: Project, exceptions: Exceptions = publicExports): Violation[] {
  const used = new Set<string>();
  for (const source of project.files.values()) markImports(project, source, used);
  const excused = new Set<string>();
  const violations: Violation[] = [];
  for (const source of project.files.values()) {
    if (source.isTest || !source.path.includes("/src/")) continue;
    for (const [name, declared] of exportsOf(source)) {
      const key = `${source.path}#${name}`;
      if (used.has(key) || (declared.isType && isUsedInside(source, name))) continue;
      if (key in exceptions) excused.add(key);
      else
        violations.push(
          `${at(source, declared.node)}: nobody imports ${name}; drop the export or the code`,
        );
    }
  }
  return [...violations, ...stale(exceptions, excused, "publicExports")];
}

function markImports(project: Project, source: SourceText, used: Set<string>): void {
  for (const { specifier, names, exportedAs } of linksOf(source)) {
    const target = targetOf(project, source, specifier);
    if (target === undefined || exportedAs !== undefined) continue;
    for (const name of names) mark(project, { path: target, name }, used);
  }
}

/** The name where it is declared, through all re-exports on the way. */
function mark(
  project: Project,
  { path, name }: { path: string; name: string },
  used: Set<string>,
): void {
  const key = `${path}#${name}`;
  const source = project.files.get(path);
  if (source === undefined || used.has(key)) return;
  used.add(key);
  if (name === "*") for (const own of exportsOf(source).keys()) used.add(`${path}#${own}`);
  for (const { specifier, names, exportedAs } of linksOf(source)) {
    const target = targetOf(project, source, specifier);
    if (target === undefined || exportedAs === undefined) continue;
    exportedAs.forEach((as, index) => {
      const original = names[index] ?? "*";
      if (as === "*") mark(project, { path: target, name }, used);
      else if (as === name || name === "*") mark(project, { path: target, name: original }, used);
    });
  }
}

function exportsOf(source: SourceText): Map<string, Declared> {
  const found = new Map<string, Declared>();
  for (const node of source.tree.statements) {
    if (!ts.canHaveModifiers(node)) continue;
    const isExported = ts
      .getModifiers(node)
      ?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
    if (isExported !== true) continue;
    const isType = ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node);
    for (const name of namesOf(node)) found.set(name, { node, isType });
  }
  return found;
}

function namesOf(node: ts.Statement): string[] {
  if (ts.isVariableStatement(node))
    return node.declarationList.declarations.flatMap(({ name }) =>
      ts.isIdentifier(name) ? [name.text] : [],
    );
  const named = node as ts.Statement & { readonly name?: ts.Node };
  return named.name !== undefined && ts.isIdentifier(named.name) ? [named.name.text] : [];
}

function isUsedInside(source: SourceText, name: string): boolean {
  return [...source.tree.text.matchAll(new RegExp(`\\b${name}\\b`, "g"))].length > 1;
}
