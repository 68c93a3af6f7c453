import { MeshError } from "@fleetmesh/core";

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
}

/** The addresses in `pulsar://host:port` or `pulsar+ssl://a:1,b:2`. Throws CONFIG_INVALID for any other text. */
export function parseBrokerUrl(url: string): BrokerAddress[] {
  const match = /^(pulsar|pulsar\+ssl):\/\/([^/]+)\/?$/.exec(url);
  const [, scheme = "", hosts = ""] = match ?? [];
  const isTls = scheme === "pulsar+ssl";
  const found = hosts.split(",").map((text) => addressOf(text, isTls));
  const valid = found.filter((address) => address !== undefined);
  if (match === null || valid.length < found.length)
    throw new MeshError("CONFIG_INVALID", `"${url.slice(0, 200)}" is no Pulsar address`, {
      hint: "Write pulsar://host:6650 or pulsar+ssl://host:6651; several hosts with commas between.",
    });
  return valid;
}

export const formatBrokerAddress = ({ host, port, isTls }: BrokerAddress): string =>
  `${isTls ? "pulsar+ssl" : "pulsar"}://${host.includes(":") ? `[${host}]` : host}:${port}`;

function addressOf(text: string, isTls: boolean): BrokerAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? (isTls ? 6651 : 6650));
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port, isTls };
}
