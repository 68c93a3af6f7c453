import { MeshError } from "@fleetmesh/core";
import type { FastifyInstance } from "fastify";

/** Deeper than any body the API describes, and far from where recursion over it could exhaust the stack. */
const depthMax = 64;

/** JSON bodies of the API: an empty one is none, and one nested too deep is refused before anything walks it. */
export function readJsonBodies(app: FastifyInstance): void {
  app.removeContentTypeParser("application/json");
  const parse = app.getDefaultJsonParser("error", "error");
  app.addContentTypeParser<string>(
    "application/json",
    { parseAs: "string" },
    (request, text, done) => {
      if (text.trim() === "") {
        done(null, undefined);
      } else if (depthOf(text) > depthMax) {
        done(new MeshError("REQUEST_INVALID", `The body is nested deeper than ${depthMax}`));
      } else {
        void parse(request, text, done);
      }
    },
  );
}

/** Of brackets outside strings, by the text alone: it costs no stack and needs no valid JSON. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[{]|[\]}]/gs)) {
    if (token === "[" || token === "{") deepest = Math.max(deepest, (depth += 1));
    else if (token === "]" || token === "}") depth -= 1;
  }
  return deepest;
}
