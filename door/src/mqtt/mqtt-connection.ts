import type { Socket } from "node:net";
import type { Principal } from "../auth/authenticator.ts";
import type { PacketFraming } from "./packet-framing.ts";
import { PublishOrder } from "./publish-order.ts";

/** What the outside sees of a client that was let in. */
export interface MqttClientInfo {
  /** Rises with every connection of the door. */
  readonly connectionId: number;
  readonly clientId: string;
  readonly principal: Principal;
  readonly address: string;
  /** Monotonic milliseconds. */
  readonly connectedMs: number;
  /** The client asked for a clean session: nothing of an earlier one is left. */
  readonly isCleanSession: boolean;
}

export type DisconnectReason = "closed" | "taken-over";

/** One TCP connection, from accept to close. */
export class MqttConnection {
  readonly id: number;
  readonly socket: Socket;
  readonly framing: PacketFraming;
  readonly address: string;
  readonly publishes = new PublishOrder();
  /** Granted in this connection. */
  readonly filters = new Set<string>();
  /** Set when CONNECT was accepted. */
  info: MqttClientInfo | undefined;
  /** Set when its client was announced as connected, so that the end is announced exactly then. */
  isAnnounced = false;
  isTakenOver = false;
  /** Why it was closed, when it did not close by itself. */
  fault: Error | undefined;
  /** Resolves when the broker has let go of it. */
  readonly gone: Promise<void>;
  readonly #leave: () => void;

  constructor(id: number, socket: Socket, framing: PacketFraming) {
    this.id = id;
    this.socket = socket;
    this.framing = framing;
    this.address = socket.remoteAddress ?? "local";
    let leave = (): void => undefined;
    this.gone = new Promise((resolve) => (leave = resolve));
    this.#leave = leave;
  }

  markGone(): void {
    this.#leave();
  }
}
