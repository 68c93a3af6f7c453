import { join } from "node:path";
import {
  Assembly,
  assertTopic,
  catalogue,
  encodeWire,
  MeshError,
  structuredBytesMax,
  type Chance,
  type Clock,
  type Logger,
  type MeshEvent,
  type Part,
} from "@fleetmesh/core";
import { DoorMetrics } from "@fleetmesh/door";
import { Registry } from "prom-client";
import { AgentBuffers } from "../buffer/agent-buffers.ts";
import type { Buffers } from "../buffer/buffers.ts";
import { MemoryBuffer } from "../buffer/memory-buffer.ts";
import type { HandledCounts } from "../buffer/retired-epochs.ts";
import { createAdminServer } from "../status/admin-server.ts";
import { classLine, type AgentStatus } from "../status/agent-status.ts";
import type { BufferReading } from "../status/buffer-metrics.ts";
import { EdgeMetrics } from "../status/edge-metrics.ts";
import type { UplinkLink } from "../uplink/link.ts";
import { MqttLink } from "../uplink/mqtt-link.ts";
import { Uplink, type UplinkPorts } from "../uplink/uplink.ts";
import { slowUplinkBytesPerMs } from "../uplink/uplink-limits.ts";
import { readTls, readToken } from "./agent-files.ts";
import { AsideFolder } from "./aside-folder.ts";
import { CommandDesk } from "./command-desk.ts";
import type { EdgeAgentConfig } from "./edge-agent-config.ts";
import { EdgeDoors } from "./edge-doors.ts";
import { EdgeIntake } from "./edge-intake.ts";
import { edgeLedger, type EdgeLedger } from "./edge-ledger.ts";
import { SingleBuffer } from "./single-buffer.ts";
import { namedTopics, TopicClasses } from "./topic-classes.ts";

export interface EdgeAgentPorts {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  /** Another way to the region than the configured one, for simulations. */
  readonly link?: UplinkLink;
}

export function createEdgeAgent(config: EdgeAgentConfig, ports: EdgeAgentPorts): EdgeAgent {
  return new EdgeAgent(config, ports);
}

/**
 * One agent: doors → intake → buffer → uplink, with its own metrics and page. Several live in one process without
 * knowing of each other.
 * Guarantees: it starts, and takes events, without a region; what a door or `publish` has acknowledged is on the disk.
 */
export class EdgeAgent implements Part {
  readonly name = "edge-agent";
  readonly buffers: Buffers;
  readonly uplink: Uplink;
  readonly registry = new Registry();
  readonly #config: EdgeAgentConfig;
  readonly #ports: EdgeAgentPorts;
  readonly #intake: EdgeIntake;
  readonly #metrics: EdgeMetrics;
  readonly #doors: EdgeDoors;
  readonly #commands: CommandDesk;
  readonly #admin: ReturnType<typeof createAdminServer> | undefined;
  readonly #assembly: Assembly;
  #startedMs = 0;
  #isServing = false;

  constructor(config: EdgeAgentConfig, ports: EdgeAgentPorts) {
    const { clock, logger } = ports;
    this.#config = config;
    this.#ports = ports;
    this.buffers = createBuffers(config, ports, (topic) => this.#metrics.repeated(topic));
    const wallMs = (): number => this.#wallMs();
    const retired = (): HandledCounts => this.buffers.retired;
    const buffers = (): Promise<readonly BufferReading[]> => this.#readings();
    const topics = namedTopics(config.classes);
    const classes = new TopicClasses(config.classes);
    const classOf = (topic: string) => classes.of(topic);
    const about = { wallMs, buffers, retired, topics, classOf };
    this.#metrics = new EdgeMetrics({ registry: this.registry, ...about });
    const names = new Set(topics.map(({ topic }) => topic));
    DoorMetrics.of(this.registry).knows({
      names: () => names,
      has: (name) => names.has(name),
    });
    this.uplink = this.#createUplink();
    this.#intake = new EdgeIntake({ buffers: this.buffers, classOf, wallMs });
    this.#doors = new EdgeDoors(config, {
      intake: this.#intake,
      registry: this.registry,
      // Tokens expire by the region's clock where it is known: a dead battery's clock lets nobody in or out.
      clock: { ...portable(clock), wallMs },
      logger,
    });
    this.#commands = this.#createCommandDesk();
    this.#admin = config.admin && createAdminServer(config.admin, this.#adminSource(), logger);
    this.#assembly = new Assembly(this.name, this.#parts());
  }

  /** Where the doors and the page listen; 0 or absent = not. With port 0 in the configuration, the one that was chosen. */
  get ports(): { readonly http: number; readonly mqtt: number; readonly admin: number } {
    return { ...this.#doors.ports, admin: this.#admin?.port ?? 0 };
  }

  async start(): Promise<void> {
    await this.#assembly.start();
    this.#startedMs = this.#ports.clock.wallMs();
    this.#isServing = true;
    const { agentId } = this.#config;
    this.#ports.logger.info({ agentId, epoch: this.buffers.current.epoch }, "Edge agent serves.");
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#isServing = false;
    await this.#assembly.stop(deadline);
  }

  /**
   * For software in this process. Resolves when all are durable. An empty id becomes one that the agent makes, which costs
   * nothing on the uplink. Errors: TOPIC_INVALID, BUFFER_FULL, BUFFER_UNAVAILABLE, STOPPING.
   */
  async publish(topic: string, ...events: readonly MeshEvent[]): Promise<void> {
    assertTopic(topic);
    if (!this.#isServing) throw new MeshError("STOPPING", "The agent is not running");
    await this.#intake.take({ topic, events });
  }

  async ledger(): Promise<EdgeLedger> {
    // Of one moment: an epoch goes from the salvaged to the retired.
    const { salvaged, current, retired } = this.buffers;
    const sources = await Promise.all(
      [...salvaged, current].map(async (buffer) => ({
        buffer,
        stats: await buffer.stats(),
        isCurrent: buffer === current,
      })),
    );
    return edgeLedger(this.#config.agentId, { sources, retired });
  }

  async status(): Promise<AgentStatus> {
    const { current, salvaged, damages } = this.buffers;
    const [stats, ledger] = await Promise.all([current.stats(), this.ledger()]);
    const { bytes, bytesMax, unavailable } = stats;
    return {
      agentId: this.#config.agentId,
      epoch: current.epoch,
      nowMs: this.#wallMs(),
      startedMs: this.#startedMs,
      uplink: {
        ...this.uplink.status(),
        region: this.#config.uplink.url,
        counts: this.#metrics.counts,
        bytesByTopic: Object.fromEntries(this.#metrics.bytesByTopic),
      },
      buffer: {
        bytes,
        bytesMax,
        unavailable,
        classes: {
          critical: classLine(stats, "critical"),
          normal: classLine(stats, "normal"),
          bulk: classLine(stats, "bulk"),
        },
        salvagedCount: salvaged.length,
        damages,
      },
      doors: this.#doors.addresses(),
      ledger: ledger.total,
    };
  }

  /** Stopped in reverse: first nothing comes in any more, then the uplink finishes, the buffer closes last. */
  #parts(): Part[] {
    const intake: Part = {
      name: "intake",
      start: () => {
        this.#intake.open();
        return Promise.resolve();
      },
      stop: () => {
        this.#intake.close();
        return Promise.resolve();
      },
    };
    const admin = this.#admin === undefined ? [] : [this.#admin];
    return [this.buffers, ...admin, this.uplink, intake, this.#doors];
  }

  #createUplink(): Uplink {
    const { clock, chance, logger } = this.#ports;
    return new Uplink(this.buffers, this.#config.uplink, {
      link: this.#ports.link ?? createLink(this.#config, logger),
      clock,
      chance,
      logger,
      observer: this.#metrics,
      encode: (message, effort) => encodeWire(message, { effort }),
      onCommand: (payload) => this.#commands.take(payload),
      onRefused: (buffer, { code, reason }) => {
        if (code === catalogue.AGENT_CLONED.code) void this.buffers.renew(buffer, reason);
      },
      ...this.#aside(),
    });
  }

  #aside(): Pick<UplinkPorts, "setAside"> {
    const { buffer, dataDir } = this.#config;
    if (buffer.type === "memory") return {};
    const folder = new AsideFolder(join(dataDir, "undeliverable"));
    return { setAside: (event) => folder.keep(event) };
  }

  #createCommandDesk(): CommandDesk {
    const { agentId, maxEventBytes } = this.#config;
    return new CommandDesk({
      agentId,
      limits: { maxEventBytes },
      deliver: (payload) => this.#doors.deliverCommand(payload),
      report: (topic, event) => this.#intake.take({ topic, events: [event] }),
      logger: this.#ports.logger,
    });
  }

  #adminSource(): Parameters<typeof createAdminServer>[1] {
    return {
      status: () => this.status(),
      ledger: () => this.ledger(),
      metricsText: () => this.#metrics.text(),
      unready: async () => {
        if (!this.#isServing) return "starting or stopping";
        return (await this.buffers.current.stats()).unavailable;
      },
    };
  }

  #readings(): Promise<readonly BufferReading[]> {
    const { salvaged, current } = this.buffers;
    return Promise.all(
      [...salvaged, current].map(async (buffer) => {
        const [stats, topics] = await Promise.all([buffer.stats(), buffer.topics()]);
        return { epoch: buffer.epoch, stats, topics };
      }),
    );
  }

  #wallMs(): number {
    return this.uplink.cloudNowMs() ?? this.#ports.clock.wallMs();
  }
}

function createBuffers(
  config: EdgeAgentConfig,
  { clock, chance, logger }: EdgeAgentPorts,
  onRepeated: (topic: string) => void,
): Buffers {
  const { agentId, dataDir, buffer } = config;
  const { bytesMax, whenFull, ttlMs, repeatWindow } = buffer;
  const limits = { bytesMax, whenFull, ttlMs: definedOf(ttlMs), repeatWindow };
  if (buffer.type === "memory") {
    return new SingleBuffer(new MemoryBuffer({ agentId, limits, clock, chance, onRepeated }));
  }
  const directory = join(dataDir, "buffer");
  return new AgentBuffers({ directory, agentId, limits, clock, chance, logger, onRepeated });
}

function createLink(config: EdgeAgentConfig, logger: Logger): UplinkLink {
  const { agentId, uplink, maxEventBytes } = config;
  // No ping gets past an event that is on its way.
  const longestSeconds = Math.ceil(maxEventBytes / slowUplinkBytesPerMs / 1_000 / 1.5);
  return new MqttLink({
    url: uplink.url,
    agentId,
    username: uplink.username ?? agentId,
    token: () => readToken(uplink),
    keepaliveSeconds: Math.max(uplink.keepaliveSeconds, longestSeconds),
    connectTimeoutMs: uplink.connectTimeoutMs,
    tls: readTls(uplink),
    messageBytesMax: Math.max(1024 * 1024, structuredBytesMax({ maxEventBytes })),
    logger,
  });
}

/** The clock's methods without its identity, so that one of them can be replaced. */
function portable(clock: Clock): Clock {
  return {
    wallMs: () => clock.wallMs(),
    monotonicMs: () => clock.monotonicMs(),
    setTimer: (delayMs, callback) => clock.setTimer(delayMs, callback),
  };
}

type Ttl = EdgeAgentConfig["buffer"]["ttlMs"];

function definedOf({ critical, normal, bulk }: Ttl): {
  critical?: number;
  normal?: number;
  bulk?: number;
} {
  return {
    ...(critical !== undefined && { critical }),
    ...(normal !== undefined && { normal }),
    ...(bulk !== undefined && { bulk }),
  };
}
