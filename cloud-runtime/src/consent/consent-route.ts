import { MeshError, type Clock } from "@fleetmesh/core";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Metadata } from "../metadata/metadata.ts";
import { allowedRate, requestedRateOf } from "./consent-request.ts";
import { granted, isConsentKey } from "./consent-state.ts";

export interface ConsentRouteOptions {
  readonly metadata: Metadata;
  readonly clock: Clock;
}

const query = z.object({ key: z.string().max(200), rate: z.string().max(20).optional() });
interface ById {
  readonly Params: { readonly id: string };
}

/**
 * The callback of the validation handshake, by GET or POST (CloudEvents webhook spec, 4.1.3): who has the key that was sent to
 * the sink consents for it, once, whether it was asked long ago or by an earlier run. No token: the key is one.
 */
export function registerConsentRoute(app: FastifyInstance, options: ConsentRouteOptions): void {
  app.route<ById>({
    method: ["GET", "POST"],
    url: "/v1/webhook-consents/:id",
    handler: async (request, reply) => {
      await consent(request, options);
      return reply.code(204).send();
    },
  });
}

async function consent(
  request: FastifyRequest<ById>,
  { metadata, clock }: ConsentRouteOptions,
): Promise<void> {
  const given = query.safeParse(request.query);
  const kept = metadata.subscription(request.params.id);
  // Whether there is such a subscription is not for everybody.
  if (!kept || !given.success || !isConsentKey(kept, given.data.key))
    throw new MeshError("NOT_FOUND", "There is nothing to consent to with this key");
  const header = request.headers["webhook-allowed-rate"];
  const said = typeof header === "string" ? header : given.data.rate;
  const ratePerMinute = allowedRate(said, requestedRateOf(kept));
  await metadata.putSubscription(granted(kept, { atMs: clock.wallMs(), ratePerMinute }));
}
