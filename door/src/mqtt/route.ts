import type { Principal } from "../auth/authenticator.ts";

/** One PUBLISH of a client, on its way to a route. */
export interface MqttPublish {
  /** The topic name behind the route's prefix. */
  readonly rest: string;
  readonly payload: Uint8Array;
  readonly principal: Principal;
  readonly clientId: string;
  /** Rises with every connection of the door: two connections of one client id differ in it. */
  readonly connectionId: number;
}

/**
 * Where publishes with one topic prefix go.
 * Guarantees asked for: resolves when what was published is durable (then the PUBACK is sent), rejects when it must not be
 * acknowledged (then the socket is closed, MQTT 3.1.1 having no other way to say no). Calls of one connection come in the
 * order in which the client published, without waiting for one another; PUBACKs leave in that order too.
 */
export interface PublishRoute {
  /** With the slash, e.g. "events/". */
  readonly prefix: string;
  take(publish: MqttPublish): Promise<void>;
}
