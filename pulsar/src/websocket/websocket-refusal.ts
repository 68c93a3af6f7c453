import { MeshError, type ErrorName } from "@fleetmesh/core";
import { tokenRefusal, type RefusedToken } from "../token-refusal.ts";

const kinds: Readonly<Record<number, ErrorName>> = {
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
export function webSocketRefusal(refused: RefusedToken, { status, page }: HttpAnswer): MeshError {
  if (status === 401)
    return tokenRefusal({ ...refused, status }, "the token is missing, wrong or expired");
  const kind = kinds[status] ?? "PULSAR_UNAVAILABLE";
  const text = `Pulsar refused ${refused.asked} (${status}): ${reasonOf(page)}`;
  return new MeshError(kind, text, { details: { pulsarStatus: status } });
}

function reasonOf(page: string): string {
  const title = /<title>([^]*?)<\/title>/i.exec(page)?.[1] ?? page;
  const plain = title.replaceAll("&quot;", '"').replaceAll("&apos;", "'").replace(/\s+/g, " ");
  return plain.trim().slice(0, 300);
}
