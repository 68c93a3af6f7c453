import { decodeStructured, encodeStructured, strictObject, type Clock } from "@fleetmesh/core";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { transformBody } from "../subscription/subscription-schema.ts";
import type { TransformSource } from "../transform/transforms.ts";
import { assertOperator, principalOf } from "./access.ts";

export interface TransformSandboxPorts {
  readonly transforms: TransformSource;
  readonly clock: Clock;
  readonly maxEventBytes: number;
}

const attemptBody = strictObject({
  transform: transformBody,
  event: z.record(z.string(), z.unknown()),
});

/**
 * `POST /v1/sandbox/transform`: what a transform makes of an event, for operators. Nothing is stored, sent or counted. A rule that
 * fails is a problem document with `step`, `kind` and `why`.
 */
export function registerTransformSandbox(app: FastifyInstance, ports: TransformSandboxPorts): void {
  const { transforms, clock, maxEventBytes } = ports;
  app.post("/v1/sandbox/transform", async (request, reply) => {
    assertOperator(principalOf(request));
    const { transform, event: given } = attemptBody.parse(request.body ?? {});
    const event = decodeStructured(Buffer.from(JSON.stringify(given)), { maxEventBytes });
    const made = await transforms.attempt(transform, { event, nowMs: Math.floor(clock.wallMs()) });
    const texts = made.map((one) => Buffer.from(encodeStructured(one)).toString("utf8"));
    return reply.type("application/json").send(`{"outputs":[${texts.join(",")}]}`);
  });
}
