import { MeshError, nearestName } from "@fleetmesh/core";
import { dialects } from "./dialects.ts";
import type { CompileNested, Filter } from "./filter.ts";
import { invalidFilter } from "./invalid-filter.ts";

/** A stranger's filter must not be able to overflow the stack or hold the event loop. */
const depthMax = 16;
const nodeCountMax = 1_000;

/** Compiles one filter object of the Subscriptions API. Throws SUBSCRIPTION_INVALID naming the place and, when unknown, the dialects. */
export function compileFilter(spec: unknown, path = "filters"): Filter {
  let nodeCount = 0;
  const compileAt =
    (depth: number): CompileNested =>
    (nestedSpec, nestedPath) => {
      nodeCount += 1;
      if (depth > depthMax) throw invalidFilter(nestedPath, `is nested deeper than ${depthMax}`);
      if (nodeCount > nodeCountMax)
        throw invalidFilter(nestedPath, `makes more than ${nodeCountMax} conditions`);
      const [name, operand] = dialectOf(nestedSpec, nestedPath);
      const dialect = Object.hasOwn(dialects, name) ? dialects[name] : undefined;
      if (!dialect) throw unknownDialect(name, nestedPath);
      return dialect(operand, `${nestedPath}.${name}`, compileAt(depth + 1));
    };
  return compileAt(1)(spec, path);
}

function dialectOf(spec: unknown, path: string): [string, unknown] {
  const entries =
    typeof spec === "object" && spec !== null && !Array.isArray(spec) ? Object.entries(spec) : [];
  const [entry] = entries;
  if (!entry || entries.length !== 1)
    throw invalidFilter(path, "must be an object with exactly one dialect as its key");
  return entry;
}

function unknownDialect(name: string, path: string): MeshError {
  const known = Object.keys(dialects);
  const near = nearestName(name, known);
  const suffix = near === undefined ? "" : ` - did you mean "${near}"?`;
  return new MeshError(
    "SUBSCRIPTION_INVALID",
    `${path}: the dialect "${name.slice(0, 40)}" is not supported${suffix} Supported: ${known.join(", ")}`,
    { details: { path, dialects: known } },
  );
}
