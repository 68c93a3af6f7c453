import { decodeAck, MeshError, type Clock } from "@fleetmesh/core";
import type { MqttClientInfo, Principal } from "@fleetmesh/door";
import type { MemoryPeer, MemoryRegion } from "../../../edge-agent/src/uplink/memory-link.ts";
import type { AgentRoute } from "../../../cloud-runtime/src/ingress/agent-route.ts";
import type { Draw } from "./draw.ts";
import type { Trace } from "./trace.ts";

interface Client extends MqttClientInfo {
  readonly peer: MemoryPeer;
  readonly process: AgentRoute;
}

export interface BrokerFrontPorts {
  readonly clock: Clock;
  readonly draw: Draw;
  readonly trace: Trace;
}

const noticedMsMax = 6_000;

/**
 * The broker's part between the agents' links and the region's route: client ids, take-overs (MQTT 3.1.1, 3.1.4), who
 * hears an acknowledgement. Outlives the region's processes, as the network does.
 */
export class BrokerFront {
  readonly #ports: BrokerFrontPorts;
  readonly #clients = new Map<string, Client>();
  readonly #byPeer = new Map<MemoryPeer, Client>();
  #process: AgentRoute | undefined;
  #count = 0;
  /** Chance that the region learns late of a connection's end: the end that another one takes over. */
  lateNotice = 0;

  constructor(ports: BrokerFrontPorts) {
    this.#ports = ports;
  }

  /** A process of the region serves from here on; undefined = none does. All connections to the one before are gone. */
  serve(process: AgentRoute | undefined): void {
    this.#process = process;
    const gone = [...this.#byPeer.values()];
    this.#clients.clear();
    this.#byPeer.clear();
    for (const { peer } of gone) peer.close("the region crashed");
  }

  /** The region as one agent sees it. */
  regionOf(clientId: string, principal: Principal): MemoryRegion {
    return {
      accept: (peer) => this.#accept({ clientId, principal, peer }),
      receive: (peer, message) => this.#receive(peer, message),
      gone: (peer) => this.#gone(peer),
    };
  }

  async publishTo(topic: string, payload: Uint8Array): Promise<void> {
    const clientId = topic.slice(topic.indexOf("/") + 1);
    const ack = decodeAck(payload);
    const { refused } = ack;
    if (refused !== undefined)
      this.#ports.trace.note("region", `refuses ${clientId}: ${refused.reason}`);
    this.#clients.get(clientId)?.peer.ack(ack);
    return Promise.resolve();
  }

  #accept(of: Pick<Client, "clientId" | "principal" | "peer">): void {
    const process = this.#process;
    if (process === undefined) throw new MeshError("UNREACHABLE", "The region is down");
    const before = this.#clients.get(of.clientId);
    this.#count += 1;
    const client: Client = {
      ...of,
      connectionId: this.#count,
      address: "",
      connectedMs: this.#ports.clock.monotonicMs(),
      isCleanSession: true,
      process,
    };
    this.#clients.set(of.clientId, client);
    this.#byPeer.set(of.peer, client);
    if (before === undefined) return;
    this.#byPeer.delete(before.peer);
    before.peer.close("another connection took the client id over");
    process.disconnected(before, true);
  }

  async #receive(peer: MemoryPeer, payload: Uint8Array): Promise<void> {
    const client = this.#byPeer.get(peer);
    if (client === undefined) throw new MeshError("UNREACHABLE", "The socket is closed");
    const { clientId, connectionId, principal } = client;
    await client.process.take({ rest: clientId, clientId, connectionId, principal, payload });
  }

  #gone(peer: MemoryPeer): void {
    const client = this.#byPeer.get(peer);
    if (client === undefined) return;
    const { clock, draw } = this.#ports;
    if (!draw.hit(this.lateNotice)) this.#forget(client);
    else clock.setTimer(draw.below(noticedMsMax), () => this.#forget(client));
  }

  #forget(client: Client): void {
    if (!this.#byPeer.delete(client.peer)) return;
    if (this.#clients.get(client.clientId) === client) this.#clients.delete(client.clientId);
    client.process.disconnected(client, false);
  }
}
