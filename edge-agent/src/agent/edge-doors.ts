import { Assembly, structuredBytesMax, type Clock, type Logger, type Part } from "@fleetmesh/core";
import {
  Admission,
  DoorMetrics,
  EventsRoute,
  FailureThrottle,
  HttpDoor,
  HttpServer,
  JwtAuthenticator,
  MqttDoor,
  mqttLimitsFor,
  type DoorKind,
  type Intake,
  type Principal,
} from "@fleetmesh/door";
import type { Registry } from "prom-client";
import { readKeySet } from "./agent-files.ts";
import type { EdgeAgentConfig } from "./edge-agent-config.ts";

export interface EdgeDoorsPorts {
  readonly intake: Intake;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly logger: Logger;
}

const commandsPrefix = "commands/";
const mqttHeadBytes = 64 * 1024;

/** The agent's doors: HTTP on TCP and on a unix socket, MQTT. All ask for a token; all answer after fsync. */
export class EdgeDoors implements Part {
  readonly name = "edge-doors";
  readonly #config: EdgeAgentConfig;
  readonly #ports: EdgeDoorsPorts;
  readonly #assembly: Assembly;
  readonly #http: HttpServer | undefined;
  readonly #unix: HttpServer | undefined;
  readonly #mqtt: MqttDoor | undefined;

  constructor(config: EdgeAgentConfig, ports: EdgeDoorsPorts) {
    this.#config = config;
    this.#ports = ports;
    const { http, unix, mqtt } = config.doors;
    const metrics = DoorMetrics.of(ports.registry);
    const admission = config.auth && this.#admission(config.auth, metrics);
    if (admission !== undefined) {
      this.#http = http && this.#httpServer("http", http, admission);
      this.#unix = unix && this.#httpServer("unix", { socketPath: unix.path }, admission);
      this.#mqtt = mqtt && this.#mqttDoor(mqtt, admission);
    }
    const parts = [this.#http, this.#unix, this.#mqtt];
    this.#assembly = new Assembly(
      this.name,
      parts.filter((part) => part !== undefined),
    );
  }

  get ports(): { readonly http: number; readonly mqtt: number } {
    return { http: this.#http?.port ?? 0, mqtt: this.#mqtt?.port ?? 0 };
  }

  addresses(): Record<string, string> {
    const { http, unix, mqtt } = this.#config.doors;
    return {
      ...(http && { http: `http://${http.host}:${this.ports.http}` }),
      ...(unix && { unix: unix.path }),
      ...(mqtt && { mqtt: `mqtt://${mqtt.host}:${this.ports.mqtt}` }),
    };
  }

  start(): Promise<void> {
    return this.#assembly.start();
  }

  stop(deadline: AbortSignal): Promise<void> {
    return this.#assembly.stop(deadline);
  }

  /** A command from the region to whoever listens here. Returns how many that are. */
  async deliverCommand(payload: Uint8Array): Promise<number> {
    const topic = `${commandsPrefix}${this.#config.agentId}`;
    const count = this.#mqtt?.receiverCount(topic) ?? 0;
    if (count > 0) await this.#mqtt?.publishTo(topic, payload);
    return count;
  }

  #admission(auth: NonNullable<EdgeAgentConfig["auth"]>, metrics: DoorMetrics): Admission {
    const { clock } = this.#ports;
    const { issuer, audience } = auth;
    const authenticator = new JwtAuthenticator({
      clock,
      keys: readKeySet(auth),
      ...(issuer !== undefined && { issuer }),
      ...(audience !== undefined && { audience }),
    });
    return new Admission({ authenticator, throttle: new FailureThrottle({ clock }), metrics });
  }

  #httpServer(
    kind: DoorKind,
    listen: ConstructorParameters<typeof HttpServer>[0]["listen"],
    admission: Admission,
  ): HttpServer {
    const { intake, registry, clock, logger } = this.#ports;
    const metrics = DoorMetrics.of(registry);
    const limits = { maxEventBytes: this.#config.maxEventBytes };
    const ports = { intake, admission, metrics, clock, logger };
    const door = new HttpDoor({ ...ports, limits, kind, reusesBodies: true });
    return new HttpServer({ name: kind, listen, door, logger });
  }

  #mqttDoor(
    listen: { readonly host: string; readonly port: number },
    admission: Admission,
  ): MqttDoor {
    const { intake, registry, clock, logger } = this.#ports;
    const metrics = DoorMetrics.of(registry);
    const limits = { maxEventBytes: this.#config.maxEventBytes };
    const structuredBytes = structuredBytesMax(limits);
    const routes = [new EventsRoute({ intake, admission, metrics, limits })];
    return new MqttDoor({
      listen,
      admission,
      routes,
      maySubscribe: (principal, _clientId, filter) => this.#mayHearCommands(principal, filter),
      metrics,
      clock,
      logger,
      limits: mqttLimitsFor(structuredBytes, structuredBytes + mqttHeadBytes),
    });
  }

  /** Commands of this agent only, for tokens that may subscribe to `commands`. */
  #mayHearCommands(principal: Principal, filter: string): boolean {
    const own = `${commandsPrefix}${this.#config.agentId}`;
    const isCommands = filter === `${commandsPrefix}#` || filter === own;
    return isCommands && principal.maySubscribe("commands");
  }
}
