import type { Logger } from "@fleetmesh/core";
import type { Admission } from "@fleetmesh/door";
import { fastify, type FastifyInstance } from "fastify";
import { requireToken } from "./access.ts";
import { readJsonBodies } from "./json-body.ts";
import { answerProblems, sendFrameworkProblem } from "./problem.ts";

export interface ApiOptions {
  readonly admission: Admission;
  readonly logger: Logger;
}

const bodyBytesMax = 1024 * 1024;

/**
 * The frame of the management API: token before everything under /v1, every error a problem document. Routes are added
 * by who owns them; it is mounted in the server that the HTTP door listens in, and never listens itself.
 */
export function createApi(options: ApiOptions): FastifyInstance {
  const app = fastify({
    logger: false,
    bodyLimit: bodyBytesMax,
    frameworkErrors: sendFrameworkProblem,
    // Sources in /v1/events/{source}/{id}/trace are percent-encoded URIs.
    routerOptions: { maxParamLength: 8_192, ignoreTrailingSlash: true },
    // The server and its stop belong to the door's HttpServer.
    return503OnClosing: false,
    forceCloseConnections: false,
  });
  const { admission, logger } = options;
  answerProblems(app, {
    logger,
    onNotPermitted: (topic) => admission.countNotPermitted(topic),
  });
  requireToken(app, admission);
  app.removeContentTypeParser("text/plain");
  readJsonBodies(app);
  return app;
}
