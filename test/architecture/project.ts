import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import ts from "typescript";

export interface PackageFile {
  readonly name: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export interface SourceText {
  /** From the root, with slashes. */
  readonly path: string;
  /** The first folder; "test" for the tests of the whole. */
  readonly workspace: string;
  readonly isTest: boolean;
  readonly tree: ts.SourceFile;
}

export interface Project {
  readonly files: ReadonlyMap<string, SourceText>;
  /** By workspace; "." is the root. */
  readonly packages: ReadonlyMap<string, PackageFile>;
}

/** One line for whoever has to act: file:line, what is wrong, what to do. */
export type Violation = string;

const skipped = new Set(["node_modules", "dist", ".git", ".fleetmesh", "coverage"]);

/** All TypeScript and package files below a root. */
export function readProject(root: string): Project {
  const texts: Record<string, string> = {};
  const visit = (folder: string): void => {
    for (const item of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = posix.join(folder, item.name);
      if (item.isDirectory() && !skipped.has(item.name)) visit(path);
      else if (item.name === "package.json" || /(?<!\.d)\.ts$/.test(item.name))
        texts[path] = readFileSync(join(root, path), "utf8");
    }
  };
  visit(".");
  return projectOf(texts);
}

/** A project from texts by path, as the fixtures of the rules are written. */
export function projectOf(texts: Readonly<Record<string, string>>): Project {
  const files = new Map<string, SourceText>();
  const packages = new Map<string, PackageFile>();
  for (const [path, text] of Object.entries(texts)) {
    if (path.endsWith("package.json"))
      packages.set(posix.dirname(path), JSON.parse(text) as PackageFile);
    else files.set(path, sourceOf(path, text));
  }
  return { files, packages };
}

function sourceOf(path: string, text: string): SourceText {
  const [first = ""] = path.split("/");
  const isTest = first === "test" || path.split("/")[1] === "test" || path.endsWith(".test.ts");
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
  return { path, workspace: path.includes("/") ? first : ".", isTest, tree };
}

export function lineOf(source: SourceText, node: ts.Node): number {
  return source.tree.getLineAndCharacterOfPosition(node.getStart(source.tree)).line + 1;
}

export function at(source: SourceText, node: ts.Node): string {
  return `${source.path}:${lineOf(source, node)}`;
}

/** Every node of a file, parents first. */
export function* nodesOf(source: SourceText): Generator<ts.Node> {
  const waiting: ts.Node[] = [source.tree];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    yield node;
    const children: ts.Node[] = [];
    ts.forEachChild(node, (child) => void children.push(child));
    waiting.push(...children.reverse());
  }
}
