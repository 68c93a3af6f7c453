import { posix } from "node:path";
import ts from "typescript";
import { extraEntries } from "./allowed.ts";
import { nodesOf, type Project, type SourceText } from "./project.ts";

/** One place where a file names another module. */
export interface ModuleLink {
  readonly node: ts.Node;
  readonly specifier: string;
  /** Imported names; "*" when all of them may be used. */
  readonly names: readonly string[];
  /** Exported under these names here, in the order of `names`; absent for an import. */
  readonly exportedAs?: readonly string[];
}

export function linksOf(source: SourceText): ModuleLink[] {
  const links: ModuleLink[] = [];
  for (const node of nodesOf(source)) {
    const link = importOf(node) ?? exportOf(node) ?? expressionOf(node);
    if (link !== undefined) links.push(link);
  }
  return links;
}

/** The file of the project that is meant; undefined for a package from outside and for what does not exist. */
export function targetOf(
  project: Project,
  source: SourceText,
  specifier: string,
): string | undefined {
  if (specifier.startsWith(".")) {
    const path = posix.join(posix.dirname(source.path), specifier);
    return project.files.has(path) ? path : undefined;
  }
  const extra = extraEntries[specifier];
  if (extra !== undefined) return extra;
  for (const [folder, { name }] of project.packages)
    if (name === specifier && folder !== ".") return `${folder}/src/index.ts`;
  return undefined;
}

/** `@scope/name/deep` is of the package `@scope/name`. */
export function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

function importOf(node: ts.Node): ModuleLink | undefined {
  if (!ts.isImportDeclaration(node) || !ts.isStringLiteral(node.moduleSpecifier)) return undefined;
  const specifier = node.moduleSpecifier.text;
  const clause = node.importClause;
  const names = clause?.name === undefined ? [] : ["default"];
  const bindings = clause?.namedBindings;
  if (bindings !== undefined && ts.isNamespaceImport(bindings)) names.push("*");
  else
    for (const element of bindings?.elements ?? [])
      names.push((element.propertyName ?? element.name).text);
  return { node, specifier, names };
}

function exportOf(node: ts.Node): ModuleLink | undefined {
  if (!ts.isExportDeclaration(node)) return undefined;
  const { moduleSpecifier, exportClause } = node;
  if (moduleSpecifier === undefined || !ts.isStringLiteral(moduleSpecifier)) return undefined;
  const specifier = moduleSpecifier.text;
  if (exportClause === undefined || ts.isNamespaceExport(exportClause))
    return { node, specifier, names: ["*"], exportedAs: ["*"] };
  const names = exportClause.elements.map((element) => (element.propertyName ?? element.name).text);
  const exportedAs = exportClause.elements.map((element) => element.name.text);
  return { node, specifier, names, exportedAs };
}

/** `import("x")` as a value or as a type, and vi.importActual alike: all names may be used. */
function expressionOf(node: ts.Node): ModuleLink | undefined {
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    const [given] = node.arguments;
    if (given !== undefined && ts.isStringLiteral(given))
      return { node, specifier: given.text, names: ["*"] };
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    const { literal } = node.argument;
    if (ts.isStringLiteral(literal)) return { node, specifier: literal.text, names: ["*"] };
  }
  return undefined;
}
