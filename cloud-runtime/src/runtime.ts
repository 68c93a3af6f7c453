import { Assembly, type Chance, type Clock, type Logger, type Part } from "@fleetmesh/core";
import {
  Admission,
  EventsRoute,
  FailureThrottle,
  HttpDoor,
  HttpServer,
  JwtAuthenticator,
  MqttDoor,
  mqttLimitsFor,
} from "@fleetmesh/door";
import type { FastifyInstance } from "fastify";
import { Registry } from "prom-client";
import { principalOf } from "./api/access.ts";
import { registerAgentRoutes } from "./api/agent-routes.ts";
import { createApi } from "./api/api.ts";
import { registerExplainRoutes } from "./api/explain-routes.ts";
import { registerHealthRoutes } from "./api/health-routes.ts";
import { registerLedgerRoutes } from "./api/ledger-routes.ts";
import { RateBoard } from "./api/rate-board.ts";
import { registerSandboxRoutes } from "./api/sandbox-routes.ts";
import { registerStatusRoutes } from "./api/status-routes.ts";
import { registerTransformSandbox } from "./api/transform-sandbox.ts";
import { StreamRoute } from "./api/stream-route.ts";
import { registerTopicRoutes } from "./api/topic-routes.ts";
import { registerTraceRoutes } from "./api/trace-routes.ts";
import { readKeySet, readTls } from "./config/key-files.ts";
import { messageLimits } from "./config/message-limits.ts";
import type { RuntimeConfig } from "./config/runtime-config.ts";
import { registerConsentRoute } from "./consent/consent-route.ts";
import { SinkConsent } from "./consent/sink-consent.ts";
import { Dispatcher } from "./delivery/dispatcher.ts";
import { subscriptionsBehind } from "./delivery/subscriptions-behind.ts";
import { Redrive } from "./delivery/redrive.ts";
import { AgentIngress } from "./ingress/agent-ingress.ts";
import { AgentRoute, mayAgentSubscribe } from "./ingress/agent-route.ts";
import { DirectIntake } from "./ingress/direct-intake.ts";
import { LinkRoutes } from "./replication/link-routes.ts";
import { TopicRemoval } from "./metadata/topic-removal.ts";
import { openRuntimeStore, type RuntimeStore } from "./runtime-store.ts";
import type { TopicBounds } from "./store/event-store.ts";
import { registerDeadLetterRoutes } from "./subscription/dead-letter-routes.ts";
import { refreshTokenKeeper } from "./subscription/keep-refresh-token.ts";
import { registerSubscriptionRoutes } from "./subscription/subscription-routes.ts";
import { SubscriptionService } from "./subscription/subscription-service.ts";
import { createTargetFactory } from "./target/index.ts";
import { createRuntimeMetrics, type RuntimeMetrics } from "./telemetry/runtime-metrics.ts";

const namedMax = 10;

export interface RuntimePorts {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
}

/** Given, as opening a store may take a module that is loaded for it. */
interface RuntimeParts extends RuntimePorts {
  readonly store: RuntimeStore;
  readonly registry: Registry;
}

/**
 * One region: doors → store → subscriptions, and the reading and management API, all in this process.
 * Guarantees: starts the store before anything that uses it and the doors last; stops the doors first, so that what was
 * taken is stored and what was not is refused. Several runtimes may run in one process; they share nothing.
 */
export class Runtime implements Part {
  readonly name: string;
  readonly metrics: RuntimeMetrics;
  readonly store: RuntimeStore;
  readonly authenticator: JwtAuthenticator;
  readonly #config: RuntimeConfig;
  readonly #ports: RuntimePorts;
  readonly #admission: Admission;
  readonly #dispatcher: Dispatcher;
  readonly #ingress: AgentIngress;
  readonly #app: FastifyInstance;
  readonly #httpServer: HttpServer;
  readonly #mqttDoor: MqttDoor;
  readonly #parts: Assembly;
  #isReady = false;

  constructor(config: RuntimeConfig, { store, registry, ...ports }: RuntimeParts) {
    this.name = `runtime ${config.region}`;
    this.#config = config;
    this.#ports = ports;
    this.store = store;
    this.metrics = createRuntimeMetrics({
      registry,
      region: config.region,
      withProcess: config.processMetrics,
      ledger: () => this.store.events.ledger(),
      topics: this.store.metadata,
    });
    this.authenticator = this.#createAuthenticator();
    this.#admission = new Admission({
      authenticator: this.authenticator,
      throttle: new FailureThrottle({ clock: ports.clock }),
      metrics: this.metrics.door,
    });
    this.#dispatcher = this.#createDispatcher();
    this.#ingress = this.#createAgentIngress();
    const intake = this.#createIntake();
    this.#app = createApi({ admission: this.#admission, logger: ports.logger });
    this.#httpServer = this.#createHttpServer(intake);
    this.#mqttDoor = this.#createMqttDoor(intake);
    this.#parts = this.#assemble();
  }

  get httpPort(): number {
    return this.#httpServer.port;
  }

  get mqttPort(): number {
    return this.#mqttDoor.port;
  }

  get registry(): Registry {
    return this.metrics.registry;
  }

  async start(): Promise<void> {
    await this.#app.ready();
    await this.#parts.start();
    this.#isReady = true;
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#isReady = false;
    await this.#parts.stop(deadline);
    await this.#app.close();
  }

  /** In the order of starting. What holds requests open comes after the doors, to let go of them before these wait. */
  #assemble(): Assembly {
    const { clock, logger } = this.#ports;
    const { events, metadata } = this.store;
    const reading = { store: events, metadata, clock, logger, metrics: this.metrics };
    const streams = new StreamRoute(
      { ...reading, admission: this.#admission },
      this.#config.limits.streamClients,
    );
    const links = new LinkRoutes({ ...reading, region: this.#config.region });
    const rates = new RateBoard(events, { clock, logger });
    const removal = this.#createRemoval(links);
    this.#registerRoutes(rates, removal);
    streams.register(this.#app);
    links.register(this.#app);
    return new Assembly(this.name, [
      this.store.part,
      metadata,
      ...this.store.followers,
      this.#dispatcher,
      this.#createSinkConsent(),
      rates,
      this.#httpServer,
      this.#mqttDoor,
      this.#ingress,
      streams,
      links,
      removal,
    ]);
  }

  #createRemoval(links: LinkRoutes): TopicRemoval {
    const { events: store, metadata } = this.store;
    const dispatcher = this.#dispatcher;
    const waitsFor = [
      async (topic: string, { stored }: TopicBounds) =>
        toldOf(
          "the subscription",
          await subscriptionsBehind({ dispatcher, metadata }, topic, stored),
        ),
      async (topic: string, { latest }: TopicBounds) =>
        Promise.resolve(toldOf("the region", links.regionsBehind(topic, latest))),
    ];
    return new TopicRemoval({ ...this.#ports, store, metadata, waitsFor });
  }

  #registerRoutes(rates: RateBoard, removal: TopicRemoval): void {
    const { events: store, deliveries, metadata } = this.store;
    const { clock } = this.#ports;
    const { region, limits } = this.#config;
    const app = this.#app;
    registerHealthRoutes(app, { notReady: () => this.#notReady() }, this.registry);
    registerTopicRoutes(app, { store, metadata, removal });
    registerTraceRoutes(app, { store, deliveries, metadata });
    registerSandboxRoutes(app, { store, clock, maxEventBytes: limits.maxEventBytes });
    registerLedgerRoutes(app, { region, store, metadata, dispatcher: this.#dispatcher });
    this.#registerSubscriptions();
    registerAgentRoutes(app, {
      maxEventBytes: limits.maxEventBytes,
      commandBytesMax: messageLimits(limits).structuredBytes,
      receiverCount: (topic) => this.#mqttDoor.receiverCount(topic),
      publishTo: (topic, payload) => this.#mqttDoor.publishTo(topic, payload),
    });
    registerStatusRoutes(app, {
      region,
      store,
      metadata,
      rates,
      clock,
      agentsConnected: () => this.#ingress.agentCount,
      maxEventBytes: limits.maxEventBytes,
    });
  }

  #registerSubscriptions(): void {
    const { events: store, deliveries, metadata } = this.store;
    const { clock, chance, logger } = this.#ports;
    const { region: node, allowPrivateSinks, allowSinkNetworks } = this.#config;
    const dispatcher = this.#dispatcher;
    const shared = { metadata, dispatcher, store, clock, chance };
    const service = new SubscriptionService({
      ...{ ...shared, allowPrivateSinks, allowSinkNetworks, node },
    });
    registerSubscriptionRoutes(this.#app, { service, principalOf });
    const { maxEventBytes } = this.#config.limits;
    registerTransformSandbox(this.#app, {
      transforms: dispatcher.transforms,
      clock,
      maxEventBytes,
    });
    const subscriptionFor = service.get.bind(service);
    registerExplainRoutes(this.#app, { store, deliveries, subscriptionFor });
    registerConsentRoute(this.#app, { metadata, clock });
    const redrive = new Redrive({ dispatcher, deliveries, clock, logger });
    registerDeadLetterRoutes(this.#app, { deliveries, metadata, redrive, principalOf });
  }

  #notReady(): string | undefined {
    if (!this.#isReady) return "starting or stopping";
    return this.store.absence() ?? this.#dispatcher.storeFailure?.message;
  }

  #createAuthenticator(): JwtAuthenticator {
    const { auth } = this.#config;
    const issuer = auth.issuer === undefined ? {} : { issuer: auth.issuer };
    const audience = auth.audience === undefined ? {} : { audience: auth.audience };
    const { clock } = this.#ports;
    return new JwtAuthenticator({ clock, keys: readKeySet(auth), ...issuer, ...audience });
  }

  #createDispatcher(): Dispatcher {
    const { clock, chance } = this.#ports;
    const { allowPrivateSinks, allowSinkNetworks } = this.#config;
    return new Dispatcher({
      ...this.#ports,
      store: this.store.events,
      deliveries: this.store.deliveries,
      metadata: this.store.metadata,
      maxEventBytes: this.#config.limits.maxEventBytes,
      createTarget: createTargetFactory({
        ...{ clock, chance, allowPrivateSinks, allowSinkNetworks },
        keepRefreshToken: refreshTokenKeeper(this.store.metadata),
        origin: webhookOriginOf(this.#config),
        connectionsPerHost: this.#config.limits.connectionsPerHost,
      }),
      registry: this.registry,
    });
  }

  #createSinkConsent(): SinkConsent {
    const { allowPrivateSinks, allowSinkNetworks, webhooks } = this.#config;
    return new SinkConsent({
      ...{ ...this.#ports, metadata: this.store.metadata, allowPrivateSinks, allowSinkNetworks },
      caller: { origin: webhookOriginOf(this.#config), callbackUrl: webhooks.callbackUrl },
    });
  }

  #createAgentIngress(): AgentIngress {
    const { limits } = this.#config;
    const { agentPackedBytes, agentUnpackedBytes } = messageLimits(limits);
    const { events: store, metadata } = this.store;
    const ports = { ...this.#ports, store, metadata, metrics: this.metrics };
    return new AgentIngress(ports, {
      maxEventBytes: limits.maxEventBytes,
      messageBytesMax: agentPackedBytes,
      unpackedBytesMax: agentUnpackedBytes,
      inFlightBytes: limits.agentInFlightBytes,
    });
  }

  #createIntake(): DirectIntake {
    const { clock } = this.#ports;
    const { events: store, metadata } = this.store;
    const ports = { store, metadata, clock, metrics: this.metrics };
    return new DirectIntake(ports, this.#config.limits.directInFlightBytes);
  }

  #createHttpServer(intake: DirectIntake): HttpServer {
    const { clock, logger } = this.#ports;
    const { http, limits } = this.#config;
    const door = new HttpDoor({
      intake,
      admission: this.#admission,
      metrics: this.metrics.door,
      clock,
      logger,
      limits: { maxEventBytes: limits.maxEventBytes, inFlightBytesMax: limits.directInFlightBytes },
      otherMethods: ["GET", "HEAD"],
    });
    const fallback = this.#app.routing.bind(this.#app);
    return new HttpServer({ listen: { ...http }, door, fallback, logger });
  }

  #createMqttDoor(intake: DirectIntake): MqttDoor {
    const { clock, logger } = this.#ports;
    const { mqtt, limits } = this.#config;
    const { maxEventBytes } = limits;
    const shared = { admission: this.#admission, metrics: this.metrics.door };
    const events = new EventsRoute({ ...shared, intake, limits: { maxEventBytes } });
    const agents = new AgentRoute({
      ingress: this.#ingress,
      publishTo: (topic, payload) => this.#mqttDoor.publishTo(topic, payload),
      onFault: (error) => logger.warn({ err: error }, "Acknowledgement not sent."),
    });
    const tls = readTls(mqtt.tls);
    const { mqttPacketBytes, structuredBytes } = messageLimits(limits);
    return new MqttDoor({
      ...shared,
      listen: { host: mqtt.host, port: mqtt.port },
      ...(tls === undefined ? {} : { tls }),
      routes: [events, agents],
      maySubscribe: mayAgentSubscribe,
      hooks: {
        onDisconnected: (client, reason) => agents.disconnected(client, reason === "taken-over"),
      },
      clock,
      logger,
      limits: mqttLimitsFor(structuredBytes, mqttPacketBytes),
    });
  }
}

function toldOf(who: string, names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  return `${who} ${names.slice(0, namedMax).join(", ")} has not had all of it`;
}

function webhookOriginOf({ region, webhooks }: RuntimeConfig): string {
  return webhooks.origin ?? `${region}.fleetmesh`;
}

/** The files that the configuration names are read now. Throws CONFIG_UNREADABLE or CONFIG_INVALID. */
export async function createRuntime(config: RuntimeConfig, ports: RuntimePorts): Promise<Runtime> {
  const registry = new Registry();
  const store = await openRuntimeStore(config, { ...ports, registry });
  return new Runtime(config, { ...ports, registry, store });
}
