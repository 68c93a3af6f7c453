import { MeshError, type ErrorName } from "@fleetmesh/core";

const kinds: Readonly<Record<number, ErrorName>> = {
  401: "PULSAR_DENIED",
  403: "PULSAR_DENIED",
  404: "TOPIC_UNKNOWN",
  409: "PULSAR_FENCED",
};

export interface HttpAnswer {
  readonly status: number;
  /** A page for people, as its server makes it. */
  readonly page: string;
}

/** What the server answered instead of opening the connection. `asked` names it, with the permission that it takes. */
export function webSocketRefusal(asked: string, { status, page }: HttpAnswer): MeshError {
  const kind = kinds[status] ?? "PULSAR_UNAVAILABLE";
  const reason = status === 401 ? "the token is missing, wrong or expired" : reasonOf(page);
  const text = `Pulsar refused ${asked} (${status}): ${reason}`;
  return new MeshError(kind, text, { details: { pulsarStatus: status } });
}

function reasonOf(page: string): string {
  const title = /<title>([^]*?)<\/title>/i.exec(page)?.[1] ?? page;
  const plain = title.replaceAll("&quot;", '"').replaceAll("&apos;", "'").replace(/\s+/g, " ");
  return plain.trim().slice(0, 300);
}
