import {
  attributeOf,
  decodeStructured,
  MeshError,
  type EventLimits,
  type Extension,
  type Logger,
  type MeshEvent,
} from "@fleetmesh/core";

export interface CommandDeskPorts {
  readonly agentId: string;
  readonly limits: EventLimits;
  /** To the local subscribers; resolves with how many there are. */
  readonly deliver: (payload: Uint8Array) => Promise<number>;
  /** Takes the result as an event of this agent; resolves when it is durable. */
  readonly report: (topic: string, event: MeshEvent) => Promise<void>;
  readonly logger: Logger;
}

const commandResultTopic = "mesh.command.result";
const deliveredType = "com.fleetmesh.command.delivered.v1";
const undeliverableType = "com.fleetmesh.command.undeliverable.v1";
const inHandMax = 256;

/**
 * Hands the region's commands to local subscribers and reports what became of each as an event of its own: its
 * `causationid` is the command's id. Delivered means handed to at least one subscriber's connection, no more: what the
 * subscriber did with it is for the subscriber to tell.
 */
export class CommandDesk {
  readonly #ports: CommandDeskPorts;
  #inHand = 0;

  constructor(ports: CommandDeskPorts) {
    this.#ports = ports;
  }

  /** Never throws. */
  take(payload: Uint8Array): void {
    const { logger } = this.#ports;
    if (this.#inHand >= inHandMax) {
      logger.error({ inHand: this.#inHand }, "A command is dropped: too many come at once.");
      return;
    }
    this.#inHand += 1;
    this.#handle(payload)
      .catch((error: unknown) => logger.error({ error }, "A command's result is not reported."))
      .finally(() => (this.#inHand -= 1));
  }

  async #handle(payload: Uint8Array): Promise<void> {
    let command: MeshEvent | undefined;
    try {
      command = decodeStructured(payload, this.#ports.limits);
      const subscribers = await this.#ports.deliver(payload);
      const reason = subscribers === 0 ? "nobody subscribes to commands here" : undefined;
      await this.#report(command, { subscribers, reason });
    } catch (thrown) {
      const reason = MeshError.from(thrown).message;
      await this.#report(command, { subscribers: 0, reason });
    }
  }

  async #report(command: MeshEvent | undefined, outcome: Outcome): Promise<void> {
    const { agentId, report, logger } = this.#ports;
    const isDelivered = outcome.reason === undefined;
    if (!isDelivered) logger.warn({ command: command?.id, ...outcome }, "A command has no taker.");
    const data = { agentId, commandId: command?.id, commandType: command?.type, ...outcome };
    await report(commandResultTopic, {
      id: "",
      source: `/agents/${agentId}`,
      type: isDelivered ? deliveredType : undeliverableType,
      subject: agentId,
      time: undefined,
      datacontenttype: "application/json",
      dataschema: undefined,
      extensions: command === undefined ? [] : causesOf(command),
      data: Buffer.from(JSON.stringify(data)),
      dataKind: "json",
    });
  }
}

interface Outcome {
  readonly subscribers: number;
  readonly reason: string | undefined;
}

/** CloudEvents correlation extension: what caused this, and what the whole belongs to. */
function causesOf(command: MeshEvent): Extension[] {
  const correlation = attributeOf(command, "correlationid");
  const causes: Extension[] = [["causationid", command.id]];
  return typeof correlation === "string" ? [...causes, ["correlationid", correlation]] : causes;
}
