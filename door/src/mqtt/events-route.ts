import { assertTopic, decodeMqtt, eventLimitsDefault, type EventLimits } from "@fleetmesh/core";
import type { Admission } from "../auth/admission.ts";
import type { Intake } from "../intake.ts";
import type { DoorMetrics } from "../telemetry/door-metrics.ts";
import type { MqttPublish, PublishRoute } from "./route.ts";

export interface EventsRouteOptions {
  readonly intake: Intake;
  readonly admission: Admission;
  readonly metrics: DoorMetrics;
  readonly limits?: EventLimits;
}

/**
 * `events/{topic}`: one structured CloudEvent to the intake.
 * Errors: TOPIC_INVALID, NOT_PERMITTED, EVENT_INVALID, EVENT_TOO_LARGE, and the intake's own.
 */
export class EventsRoute implements PublishRoute {
  readonly prefix = "events/";
  readonly #options: EventsRouteOptions;
  readonly #limits: EventLimits;

  constructor(options: EventsRouteOptions) {
    this.#options = options;
    options.metrics.serves("mqtt");
    this.#limits = options.limits ?? eventLimitsDefault;
  }

  // Nothing is awaited before intake.take: a connection's events reach the intake in the order they were published.
  async take({ rest: topic, payload, principal }: MqttPublish): Promise<void> {
    const { intake, admission, metrics } = this.#options;
    assertTopic(topic);
    if (!principal.mayPublish(topic)) throw admission.notPermitted(`publish to ${topic}`, topic);
    const event = decodeMqtt(payload, this.#limits);
    await intake.take({ topic, events: [event], principal, door: "mqtt" });
    metrics.received(topic, "mqtt", 1);
  }
}
