import { posix } from "node:path";
import { isBuiltin } from "node:module";
import {
  allowedImports,
  driverFileExceptions,
  drivers,
  extraEntries,
  type Exceptions,
} from "./allowed.ts";
import { linksOf, packageOf, type ModuleLink } from "./module-link.ts";
import { at, type Project, type SourceText, type Violation } from "./project.ts";

/** core <- door <- the processes <- cli <- test; and nobody reaches into another's folder. */
export function dependencyDirection(project: Project): Violation[] {
  return eachLink(project, (source, link) => {
    const place = at(source, link.node);
    if (link.specifier.startsWith(".")) return relativeViolation(source, link, place);
    const wanted = workspaceOf(project, packageOf(link.specifier));
    if (wanted === undefined || source.workspace === "test") return undefined;
    if (wanted === source.workspace)
      return `${place}: import your own files by relative path, not ${link.specifier}`;
    if (allowedImports[source.workspace]?.includes(wanted)) return undefined;
    return `${place}: ${source.workspace} must not import ${wanted}; move what is shared to core or door, or speak over the network`;
  });
}

function relativeViolation(
  source: SourceText,
  link: ModuleLink,
  place: string,
): Violation | undefined {
  const target = posix.join(posix.dirname(source.path), link.specifier);
  // The tests of the whole may look inside a part.
  const isWholeTest = source.workspace === "test" || source.workspace === ".";
  if (!isWholeTest && !target.startsWith(`${source.workspace}/`))
    return `${place}: ${link.specifier} leaves the workspace; import the package by its name`;
  if (!link.specifier.endsWith(".ts"))
    return `${place}: ${link.specifier} must end in .ts as the file does`;
  return undefined;
}

/** Workspace packages are entered by their index alone: what is not exported there is private. */
export function deepImports(project: Project): Violation[] {
  return eachLink(project, (source, link) => {
    const name = packageOf(link.specifier);
    const isEntered = link.specifier === name || link.specifier in extraEntries;
    if (workspaceOf(project, name) === undefined || isEntered) return undefined;
    return `${at(source, link.node)}: ${link.specifier} reaches into ${name}; export what you need from its index.ts`;
  });
}

/** A driver is imported only where its technology is in the file's name: `sqlite-buffer.ts`, `sqlite-buffer-thread.ts`. */
export function driverImports(
  project: Project,
  exceptions: Exceptions = driverFileExceptions,
): Violation[] {
  const used = new Set<string>();
  const found = eachLink(project, (source, link) => {
    const technologies = drivers[packageOf(link.specifier)];
    if (technologies === undefined || source.isTest) return undefined;
    const file = posix.basename(source.path);
    if (technologies.some((technology) => file.startsWith(`${technology}-`))) return undefined;
    if (source.path in exceptions) {
      used.add(source.path);
      return undefined;
    }
    const example = `${technologies[0] ?? ""}-<kind>.ts`;
    return `${at(source, link.node)}: only ${example} may import the driver ${link.specifier}; put it behind an interface`;
  });
  return [...found, ...stale(exceptions, used, "driverFileExceptions")];
}

/** npm workspaces hoist, so an undeclared import works until somebody installs the part alone. */
export function declaredPackages(project: Project): Violation[] {
  return eachLink(project, (source, link) => {
    if (link.specifier.startsWith(".")) return undefined;
    const place = at(source, link.node);
    if (isBuiltin(link.specifier))
      return link.specifier.startsWith("node:")
        ? undefined
        : `${place}: write node:${link.specifier}`;
    const name = packageOf(link.specifier);
    if (isDeclared(project, source, name)) return undefined;
    return `${place}: ${name} is not in ${source.workspace}/package.json; declare it there`;
  });
}

function isDeclared(project: Project, source: SourceText, name: string): boolean {
  const own = project.packages.get(source.workspace);
  const root = project.packages.get(".");
  if (own !== undefined && (own.name === name || name in { ...own.dependencies })) return true;
  if (own !== undefined && name in { ...own.optionalDependencies }) return true;
  const isOutside = source.isTest || source.workspace === ".";
  if (!isOutside) return false;
  if (name in { ...root?.devDependencies }) return true;
  if (source.workspace !== "test") return false;
  // The tests of the whole use what any part brings along.
  return [...project.packages.values()].some(
    (part) => part.name === name || name in { ...part.dependencies },
  );
}

/** Every package that a workspace installs, itself and its workspace dependencies followed. */
export function installedClosure(project: Project, workspace: string): ReadonlySet<string> {
  const found = new Set<string>();
  const follow = (folder: string): void => {
    const names = Object.keys(project.packages.get(folder)?.dependencies ?? {});
    for (const name of names) {
      if (found.has(name)) continue;
      found.add(name);
      const next = workspaceOf(project, name);
      if (next !== undefined) follow(next);
    }
  };
  follow(workspace);
  return found;
}

/** An exception that nothing needs any more is itself a violation. */
export function stale(
  exceptions: Exceptions,
  used: ReadonlySet<string>,
  table: string,
): Violation[] {
  return Object.keys(exceptions)
    .filter((path) => !used.has(path))
    .map((path) => `test/architecture/allowed.ts: ${table} no longer needs ${path}; remove it`);
}

function eachLink(
  project: Project,
  judge: (source: SourceText, link: ModuleLink) => Violation | undefined,
): Violation[] {
  const violations: Violation[] = [];
  for (const source of project.files.values())
    for (const link of linksOf(source)) {
      const violation = judge(source, link);
      if (violation !== undefined) violations.push(violation);
    }
  return violations;
}

function workspaceOf(project: Project, packageName: string): string | undefined {
  for (const [folder, { name }] of project.packages)
    if (name === packageName && folder !== ".") return folder;
  return undefined;
}
