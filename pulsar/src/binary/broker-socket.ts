import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { MeshError, type Clock } from "@fleetmesh/core";
import { formatBrokerAddress, type BrokerAddress } from "./broker-address.ts";

export interface BrokerTls {
  /** PEM of the authority that signed the brokers' certificates; the system's authorities without it. */
  readonly ca?: string | undefined;
  /** PEM of an own certificate and its key, where the brokers want one. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface BrokerSocketOptions {
  readonly address: BrokerAddress;
  readonly tls: BrokerTls | undefined;
  readonly clock: Clock;
  readonly connectMsMax: number;
}

/** An open connection. Errors: PULSAR_UNAVAILABLE. */
export function openBrokerSocket(options: BrokerSocketOptions): Promise<Socket> {
  const { address, clock, connectMsMax } = options;
  const socket = connect(options);
  socket.setNoDelay(true);
  return new Promise((resolve, reject) => {
    const fail = (what: string, cause?: unknown): void => {
      timer.cancel();
      socket.destroy();
      const place = formatBrokerAddress(address);
      reject(new MeshError("PULSAR_UNAVAILABLE", `${place} ${what}`, { cause }));
    };
    const timer = clock.setTimer(connectMsMax, () => fail("does not answer"));
    socket.once("error", (cause) => fail(`cannot be reached: ${cause.message}`, cause));
    socket.once(address.isTls ? "secureConnect" : "connect", () => {
      timer.cancel();
      socket.removeAllListeners("error").on("error", () => undefined);
      resolve(socket);
    });
  });
}

function connect({ address: { host, port, isTls }, tls }: BrokerSocketOptions): Socket {
  if (!isTls) return connectPlain({ host, port });
  // A name is needed for the certificate's check; an IP address must not be sent as one.
  const name = isIP(host) === 0 ? { servername: host } : {};
  const { ca, cert, key } = tls ?? {};
  return connectTls({ host, port, ...name, ca, cert, key });
}
