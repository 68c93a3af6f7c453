import type { FastifyInstance } from "fastify";

const parameterMark = ":";

/** Which methods each path takes, so that a wrong method is told from a wrong path. Listens before routes are added. */
export class RouteMethods {
  readonly #methods = new Map<string, Set<string>>();

  constructor(app: FastifyInstance) {
    app.addHook("onRoute", ({ url, method }) => {
      const known = this.#methods.get(url) ?? new Set<string>();
      this.#methods.set(url, known);
      for (const name of [method].flat()) known.add(name);
    });
  }

  /** Sorted; empty when nothing is at the path. */
  of(path: string): string[] {
    const segments = segmentsOf(path);
    const found = new Set<string>();
    for (const [url, methods] of this.#methods) {
      if (isMatch(segmentsOf(url), segments)) for (const name of methods) found.add(name);
    }
    return [...found].sort();
  }
}

function segmentsOf(path: string): string[] {
  return path.replace(/\/$/, "").split("/");
}

function isMatch(pattern: readonly string[], segments: readonly string[]): boolean {
  return (
    pattern.length === segments.length &&
    pattern.every((part, at) => part === segments[at] || part.startsWith(parameterMark))
  );
}
