import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

/** Links to other modules, but for those that are of types only. */
const links = /^(?:import|export) (?!type\b)[^;"]*?(?:from )?"([^"]+)";/gm;

/** All that is loaded with the file: its own files by path, packages by name. */
function loadedWith(file: URL, found = new Set<string>()): ReadonlySet<string> {
  if (found.has(file.pathname)) return found;
  found.add(file.pathname);
  for (const [, from = ""] of readFileSync(file, "utf8").matchAll(links))
    if (from.startsWith(".")) loadedWith(new URL(from, file), found);
    else found.add(from);
  return found;
}

it("A runtime loads Pulsar's client where its store is in Pulsar, and else not", () => {
  const loaded = [...loadedWith(new URL("../src/index.ts", import.meta.url))];
  expect(loaded).toContain("@fleetmesh/core");
  expect(loaded.some((name) => name.endsWith("/store/sqlite-store.ts"))).toBe(true);
  expect(loaded.filter((name) => /pulsar/.test(name.replace(/^.*\/cloud-runtime\//, "")))).toEqual(
    [],
  );
  const onDemand = loadedWith(new URL("../src/pulsar-runtime-store.ts", import.meta.url));
  expect([...onDemand]).toContain("@fleetmesh/pulsar");
});
