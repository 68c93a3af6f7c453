import { MeshError, StructuredText, type Chance, type Clock } from "@fleetmesh/core";
import type { Subscription } from "../metadata/metadata.ts";
import type { Delivery } from "./target.ts";
import { TraceParent } from "./trace-parent.ts";
import { eventIdentity } from "./webhook-id.ts";
import { signatureCharsMax, signingSecretsOf, WebhookSigner } from "./webhook-signature.ts";

/** More than the headers that differ from push to push can take. */
const variableCharsMax = 384;
const authorizationCharsMax = 8_192 + 64;
const keptBytesMax = 64 * 1024;
const headerName = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
const headerValue = /^[\t\x20-\x7e]*$/;

export interface PushWriterPorts {
  readonly clock: Clock;
  readonly chance: Chance;
  /** `write` is given one with each push. */
  readonly hasAuthorization?: boolean;
  readonly origin?: string | undefined;
}

interface Written {
  readonly bytes: Buffer;
  readonly end: number;
  readonly authorization: string | undefined;
}

/**
 * Makes the bytes of a push: request line, headers and structured event in one piece, written over the last one's, so that a
 * push allocates nothing for them. Text is put together by the event's own attributes and by what is checked here or in the
 * subscription's schema: nothing of it can break out of its header.
 */
export class PushWriter {
  readonly #clock: Clock;
  readonly #trace: TraceParent;
  readonly #signer: WebhookSigner | undefined;
  readonly #fixed: string;
  readonly #bodyAt: number;
  #bytes: Buffer | undefined;
  #timestampSeconds = 0;
  #timestamp = "";

  constructor(subscription: Subscription, ports: PushWriterPorts) {
    const secrets = signingSecretsOf(subscription.delivery);
    this.#clock = ports.clock;
    this.#trace = new TraceParent(ports.chance);
    this.#signer = secrets.length === 0 ? undefined : new WebhookSigner(secrets);
    this.#fixed = fixedHead(subscription, ports.origin);
    const signatureChars = secrets.length * signatureCharsMax;
    const authorizationChars = ports.hasAuthorization === true ? authorizationCharsMax : 0;
    this.#bodyAt = this.#fixed.length + variableCharsMax + signatureChars + authorizationChars;
  }

  /** A whole request. The next call writes over it, unless `keepLast` was called before. */
  write(delivery: Delivery, authorization?: string): Buffer {
    const text = new StructuredText(delivery.event);
    const bytes = this.#room(this.#bodyAt + text.byteCount);
    const end = text.write(bytes, this.#bodyAt);
    const head = this.#head(delivery, { bytes, end, authorization });
    const start = this.#bodyAt - head.length;
    bytes.write(head, start, "latin1");
    return bytes.subarray(start, end);
  }

  /** The last request is still being sent: its bytes are not written over. */
  keepLast(): void {
    this.#bytes = undefined;
  }

  #room(byteCount: number): Buffer {
    if (this.#bytes && this.#bytes.length >= byteCount) return this.#bytes;
    const bytes = Buffer.allocUnsafeSlow(Math.max(4_096, byteCount));
    if (byteCount <= keptBytesMax) this.#bytes = bytes;
    return bytes;
  }

  #head(delivery: Delivery, { bytes, end, authorization }: Written): string {
    const { event } = delivery;
    const { webhookId, traceId } = eventIdentity(event, delivery.subscription);
    const timestamp = this.#now();
    let head = `${this.#fixed}webhook-id: ${webhookId}\r\nwebhook-timestamp: ${timestamp}\r\n`;
    head += `traceparent: ${this.#trace.next(event, traceId)}\r\n`;
    if (this.#signer) {
      const body = { bytes, start: this.#bodyAt, end };
      head += `webhook-signature: ${this.#signer.sign(webhookId, timestamp, body)}\r\n`;
    }
    if (authorization !== undefined) head += `authorization: ${authorization}\r\n`;
    if (delivery.isRedriven) head += "mesh-redriven: true\r\n";
    return `${head}content-length: ${end - this.#bodyAt}\r\n\r\n`;
  }

  #now(): string {
    const seconds = Math.floor(this.#clock.wallMs() / 1_000);
    if (seconds !== this.#timestampSeconds) {
      this.#timestampSeconds = seconds;
      this.#timestamp = String(seconds);
    }
    return this.#timestamp;
  }
}

function fixedHead(subscription: Subscription, origin: string | undefined): string {
  const url = new URL(subscription.sink);
  const method = subscription.protocolsettings["method"] === "PUT" ? "PUT" : "POST";
  let head = `${method} ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n`;
  head += "connection: keep-alive\r\n";
  head += "content-type: application/cloudevents+json; charset=utf-8\r\n";
  // With each push to a sink that was asked (CloudEvents webhook spec, 4.1).
  if (origin !== undefined && "validation" in subscription.protocolsettings)
    head += headerLine("webhook-request-origin", origin);
  const custom = Object.entries(subscription.protocolsettings["headers"] ?? {});
  for (const [name, value] of custom) head += headerLine(name, String(value));
  const credential = subscription.sinkcredential;
  const header = credential && credentialHeader(credential);
  if (header) head += headerLine(...header);
  return head;
}

function headerLine(name: string, value: string): string {
  if (headerName.test(name) && headerValue.test(value)) return `${name}: ${value}\r\n`;
  throw new MeshError("SUBSCRIPTION_INVALID", `The header ${JSON.stringify(name)} cannot be sent`);
}

/** Undefined for a token that is fetched: it comes with each push. */
function credentialHeader(
  credential: Readonly<Record<string, string>>,
): [name: string, value: string] | undefined {
  const { credentialtype: type, identifier = "", secret = "", accesstoken = "" } = credential;
  const { headername = "", apikey = "" } = credential;
  switch (type) {
    case "PLAIN":
      return [
        "authorization",
        `Basic ${Buffer.from(`${identifier}:${secret}`).toString("base64")}`,
      ];
    case "ACCESSTOKEN":
      return ["authorization", `Bearer ${accesstoken}`];
    case "APIKEY":
      return [headername, apikey];
    case "CLIENTCREDENTIALS":
    case "REFRESHTOKEN":
      return undefined;
    case undefined:
    default:
      throw new MeshError("SUBSCRIPTION_INVALID", "sinkcredential.credentialtype is not supported");
  }
}
