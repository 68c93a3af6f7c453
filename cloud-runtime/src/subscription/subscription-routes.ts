import type { Principal } from "@fleetmesh/door";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { toAnswer } from "./subscription-api.ts";
import type { SubscriptionService } from "./subscription-service.ts";

export interface SubscriptionRoutesOptions {
  readonly service: SubscriptionService;
  readonly principalOf: (request: FastifyRequest) => Principal;
}

interface ById {
  readonly Params: { readonly id: string };
}

/** CloudEvents Subscriptions API shape, and what operators need beside it. */
export function registerSubscriptionRoutes(
  app: FastifyInstance,
  { service, principalOf }: SubscriptionRoutesOptions,
): void {
  const path = "/v1/subscriptions";
  // An array, as in the OpenAPI document of the CloudEvents Subscriptions API.
  app.get(path, (request, reply) => reply.send(service.list(principalOf(request)).map(toAnswer)));
  app.post(path, async (request, reply) => {
    const made = await service.create(principalOf(request), request.body);
    return reply
      .code(201)
      .header("location", `${path}/${encodeURIComponent(made.id)}`)
      .send(toAnswer(made));
  });
  app.get<ById>(`${path}/:id`, (request, reply) =>
    reply.send(toAnswer(service.get(principalOf(request), request.params.id))),
  );
  app.put<ById>(`${path}/:id`, async (request) =>
    toAnswer(await service.replace(principalOf(request), request.params.id, request.body)),
  );
  app.delete<ById>(`${path}/:id`, async (request, reply) => {
    await service.remove(principalOf(request), request.params.id);
    return reply.code(204).send();
  });
  app.post<ById>(`${path}/:id/pause`, async (request) =>
    toAnswer(await service.setState(principalOf(request), request.params.id, "paused")),
  );
  app.post<ById>(`${path}/:id/resume`, async (request) =>
    toAnswer(await service.setState(principalOf(request), request.params.id, "active")),
  );
  app.post<ById>(`${path}/:id/test`, (request) =>
    service.test(principalOf(request), request.params.id),
  );
  app.get<ById>(`${path}/:id/status`, (request) =>
    service.status(principalOf(request), request.params.id),
  );
}
