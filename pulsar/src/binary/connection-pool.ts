import { MeshError } from "@fleetmesh/core";
import { formatBrokerAddress, parseBrokerUrl, type BrokerAddress } from "./broker-address.ts";
import { BrokerConnection, type BrokerConnectionOptions } from "./broker-connection.ts";
import { lookupFrame } from "./command.ts";
import type { ProtobufFields } from "./protobuf-fields.ts";
import { serverError } from "./server-error.ts";

/** Sending has a connection of its own: a broker that stops taking messages still answers to readers and fences. */
export type ConnectionUse = "send" | "read";

export interface ConnectionPoolOptions extends Omit<
  BrokerConnectionOptions,
  "address" | "proxyTo"
> {
  /** Tried in turn until one answers. */
  readonly addresses: readonly BrokerAddress[];
}

interface Place {
  readonly address: BrokerAddress;
  readonly proxyTo: string | undefined;
}

const redirectsMax = 20;
const lookupTypes = { redirect: 0, connect: 1 } as const;

/** The connections of one client: one per broker and use, opened when wanted, found by topic. */
export class ConnectionPool {
  readonly #options: ConnectionPoolOptions;
  readonly #connections = new Map<string, Promise<BrokerConnection>>();
  #first = 0;
  #isClosed = false;

  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
  }

  /** A connection to the broker that owns the topic. Errors: PULSAR_UNAVAILABLE, PULSAR_DENIED, TOPIC_UNKNOWN, STOPPING. */
  async forTopic(topic: string, use: ConnectionUse): Promise<BrokerConnection> {
    let connection = await this.entry(use);
    let isAuthoritative = false;
    for (let redirects = 0; redirects < redirectsMax; redirects += 1) {
      const answer = await lookUp(connection, topic, isAuthoritative);
      const place = this.#placeOf(answer);
      connection = await this.#connectionTo(place, use);
      if (answer.number(3) === lookupTypes.connect) return connection;
      isAuthoritative = answer.flag(5);
    }
    throw new MeshError("PULSAR_UNAVAILABLE", `No broker takes "${topic}"`);
  }

  /** A connection to the first of the given addresses that answers. */
  async entry(use: ConnectionUse): Promise<BrokerConnection> {
    const { addresses } = this.#options;
    let failure: unknown;
    for (let tried = 0; tried < addresses.length; tried += 1) {
      try {
        return await this.#connectionTo({ address: this.#firstAddress, proxyTo: undefined }, use);
      } catch (error) {
        failure = error;
        this.#first += 1;
      }
    }
    throw MeshError.from(failure);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const closing = [...this.#connections.values()].map(async (opening) => (await opening).close());
    await Promise.allSettled(closing);
  }

  get #firstAddress(): BrokerAddress {
    const { addresses } = this.#options;
    const address = addresses[this.#first % addresses.length];
    if (address === undefined) throw new MeshError("CONFIG_INVALID", "No Pulsar address was given");
    return address;
  }

  async #connectionTo(place: Place, use: ConnectionUse): Promise<BrokerConnection> {
    if (this.#isClosed) throw new MeshError("STOPPING", "The Pulsar client is stopping");
    const name = `${use} ${formatBrokerAddress(place.address)} ${place.proxyTo ?? ""}`;
    const known = this.#connections.get(name);
    if (known !== undefined) return known;
    const opening = BrokerConnection.open({ ...this.#options, ...place });
    this.#connections.set(name, opening);
    const forget = (): boolean => this.#connections.delete(name);
    opening.then((connection) => connection.ended.then(forget), forget);
    return opening;
  }

  #placeOf(answer: ProtobufFields): Place {
    const isTls = this.#firstAddress.isTls;
    const url = answer.text(isTls ? 2 : 1);
    const [address] = parseBrokerUrl(url);
    if (address === undefined) throw new MeshError("PULSAR_UNAVAILABLE", "No broker was named");
    if (!answer.flag(8)) return { address, proxyTo: undefined };
    const { host, port } = address;
    return { address: this.#firstAddress, proxyTo: `${host}:${port}` };
  }
}

async function lookUp(
  connection: BrokerConnection,
  topic: string,
  isAuthoritative: boolean,
): Promise<ProtobufFields> {
  const asked = `the look-up of ${topic} (needs the permission produce or consume)`;
  const { fields } = await connection.ask(asked, (requestId) =>
    lookupFrame(topic, requestId, isAuthoritative),
  );
  const type = fields.number(3);
  if (type === lookupTypes.redirect || type === lookupTypes.connect) return fields;
  throw serverError(fields, { code: 6, text: 7, asked });
}
