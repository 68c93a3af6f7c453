import type { IncomingMessage } from "node:http";

const scheme = /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i;

/**
 * The token of a request: from `Authorization: Bearer`, else from the `access_token` query parameter that the CloudEvents
 * webhook specification asks receivers to read. Undefined when there is none. Whoever logs a URL logs `pathOf` it.
 */
export function bearerToken(request: IncomingMessage): string | undefined {
  const header = request.headers.authorization;
  if (header !== undefined) return scheme.exec(header)?.[1];
  const url = request.url ?? "";
  const queryAt = url.indexOf("?");
  if (queryAt < 0 || !url.includes("access_token=", queryAt)) return undefined;
  return new URLSearchParams(url.slice(queryAt + 1)).get("access_token") ?? undefined;
}

/** The URL without its query, which may hold a token. */
export function pathOf(url: string): string {
  const queryAt = url.indexOf("?");
  return queryAt < 0 ? url : url.slice(0, queryAt);
}
