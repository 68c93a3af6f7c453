import { MeshError } from "@fleetmesh/core";

const defaultPath = "/ws/v2";

/** Addresses such as `ws://host:8080/ws/v2`, without a slash at the end. Throws CONFIG_INVALID for any other text. */
export function parseWebSocketUrl(url: string): string[] {
  return url.split(",").map((text) => addressOf(text.trim()));
}

function addressOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isSocket = url?.protocol === "ws:" || url?.protocol === "wss:";
  if (!isSocket || url.username !== "" || url.password !== "")
    throw new MeshError("CONFIG_INVALID", `"${text.slice(0, 200)}" is no WebSocket address`, {
      hint: "Write ws://host:8080 or wss://host:8443; several with commas between. The token has a setting of its own.",
    });
  const path = url.pathname.replace(/\/+$/, "");
  return `${url.origin}${path === "" ? defaultPath : path}`;
}
