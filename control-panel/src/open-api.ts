/** What the panel's API offers today. */
export const openApi = {
  openapi: "3.1.0",
  info: { title: "Fleetmesh control panel", version: "0.1.0" },
  paths: {
    "/v1/overview": {
      get: {
        operationId: "readOverview",
        summary:
          "Every region and agent this panel knows, whether it answers, and its own numbers.",
        responses: {
          "200": {
            description: "OK",
            content: { "application/json": { schema: { type: "object" } } },
          },
        },
      },
    },
  },
} as const;
