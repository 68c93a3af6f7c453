/**
 * Every failure a user can meet, in one table: the code they can search for, the HTTP status a door answers with,
 * whether trying again can help, and what to do next. Ranges: 1 events and wire, 2 configuration, 3 access,
 * 4 edge agent, 5 runtime store and API, 6 subscriptions and delivery, 7 between regions, 8 command line.
 */
export interface CatalogueEntry {
  readonly code: `MESH-${number}`;
  readonly title: string;
  readonly status: number;
  readonly retryable: boolean;
  readonly hint: string;
}

type Texts = readonly [title: string, hint: string];

/** Trying again cannot help. */
const final = (code: `MESH-${number}`, status: number, [title, hint]: Texts): CatalogueEntry => ({
  code,
  title,
  status,
  retryable: false,
  hint,
});

/** Trying again later can help. */
const passing = (code: `MESH-${number}`, status: number, texts: Texts): CatalogueEntry => ({
  ...final(code, status, texts),
  retryable: true,
});

/* prettier-ignore */
export const catalogue = {
  EVENT_INVALID: final("MESH-1001", 400, ["The event is not a valid CloudEvent", "Correct the attribute that is named; CloudEvents 1.0 requires id, source, type and specversion."]),
  EVENT_TOO_LARGE: final("MESH-1002", 413, ["The event is larger than the mesh takes", "Send a reference (dataref) instead of the data, or raise limits.maxEventBytes at every door and store."]),
  CONTENT_TYPE_UNSUPPORTED: final("MESH-1003", 415, ["The content type is not one this door reads", "Use application/cloudevents+json, application/cloudevents-batch+json, or binary mode with ce- headers."]),
  TOPIC_INVALID: final("MESH-1004", 400, ["The topic name is not valid", "Use lower-case letters, digits and hyphens in segments separated by dots, e.g. vehicle.telemetry."]),
  BLOCK_DAMAGED: final("MESH-1005", 500, ["A stored block of events does not read back", "The file is quarantined by its owner; look for the disk's fault in the system log."]),
  WIRE_INVALID: final("MESH-1006", 400, ["The batch is not in the wire format", "See docs/wire.md; the sender must speak a version this receiver knows."]),
  WIRE_TOO_LARGE: final("MESH-1007", 413, ["The batch is larger than the receiver takes", "Send smaller batches: lower uplink.batchBytesMax."]),
  BATCH_TOO_LARGE: final("MESH-1008", 413, ["The request holds more than the door takes at once", "Send fewer events in a request."]),
  CONFIG_INVALID: final("MESH-2001", 400, ["The configuration is not valid", "Correct the lines that are named; `mesh lint FILE` checks without starting."]),
  CONFIG_UNREADABLE: final("MESH-2002", 400, ["The configuration file cannot be read", "Check the path and its permissions."]),
  TOKEN_MISSING: final("MESH-3001", 401, ["No token was given", "Send `Authorization: Bearer TOKEN`, or the token as the MQTT password."]),
  TOKEN_INVALID: final("MESH-3002", 401, ["The token is not valid", "Get a new token; it may have expired, been revoked or been made for another mesh."]),
  NOT_PERMITTED: final("MESH-3003", 403, ["The token does not permit this", "Ask the topic's owner for a permission."]),
  TOO_MANY_FAILURES: passing("MESH-3004", 429, ["Too many refused attempts from this address", "Wait as long as Retry-After says, then use a valid token."]),
  HOST_UNKNOWN: final("MESH-3005", 421, ["The request names another host", "Use 127.0.0.1 or localhost in the address."]),
  BUFFER_FULL: passing("MESH-4001", 503, ["The edge buffer is full", "Raise buffer.bytesMax, lower the rate, or restore the uplink."]),
  BUFFER_UNAVAILABLE: passing("MESH-4002", 503, ["The edge buffer cannot write to its disk", "Free or remount the disk; the agent goes on by itself."]),
  BUFFER_DAMAGED: passing("MESH-4003", 503, ["The edge buffer's file is damaged", "Nothing to do: the agent puts it aside, salvages what is readable and starts a new one."]),
  UPLINK_REFUSED: passing("MESH-4004", 503, ["The region refused the uplink", "Read the reason given; `mesh doctor` checks broker, token and clock."]),
  STOPPING: passing("MESH-4005", 503, ["The process is stopping", "Try again in a moment."]),
  DISK_LOCKED: final("MESH-4006", 409, ["Another process uses this data directory", "Stop the other process or choose another directory."]),
  SCHEMA_NEWER: final("MESH-4007", 409, ["The data directory was written by a newer version", "Run that version, or start with an empty directory."]),
  STORE_UNAVAILABLE: passing("MESH-5001", 503, ["The region's store cannot take events now", "Nothing is lost: senders keep what was not acknowledged. Check the store's disk."]),
  TOPIC_UNKNOWN: final("MESH-5002", 404, ["No such topic", "Check the spelling, or create the topic first."]),
  EVENT_CONFLICT: final("MESH-5003", 409, ["An event with this source and id but other content is stored already", "Give every distinct event an id of its own."]),
  POSITION_TRIMMED: final("MESH-5004", 410, ["The position is older than what is kept", "Go on from the earliest position in the answer, or raise the topic's retention."]),
  POSITION_INVALID: final("MESH-5005", 400, ["The position is not one of this topic", "Use a position that this topic's reading gave out."]),
  AGENT_CLONED: final("MESH-5006", 409, ["Two live connections use one agent id and epoch", "Copying a buffer clones its identity: start the second agent with a new buffer."]),
  REQUEST_INVALID: final("MESH-5007", 400, ["The request is not valid", "Correct the field that is named."]),
  NOT_FOUND: final("MESH-5008", 404, ["There is nothing with this name", "Check the name; list what exists with a GET on the collection."]),
  STORE_DAMAGED: final("MESH-5009", 503, ["The region's store is damaged", "Restore it from a backup, or start with a new data directory and keep this one aside."]),
  OVERLOADED: passing("MESH-5010", 429, ["The door is at its limit", "Wait as long as Retry-After says."]),
  DOOR_BUSY: passing("MESH-5011", 503, ["The door holds as many requests as it may", "Wait as long as Retry-After says."]),
  METHOD_NOT_ALLOWED: final("MESH-5012", 405, ["The path does not take this method", "Use one of the methods in the Allow header."]),
  TOPIC_IN_USE: final("MESH-5013", 409, ["Subscriptions name this topic", "Remove the subscriptions that are named, or give them another topic, then remove the topic."]),
  SUBSCRIPTION_INVALID: final("MESH-6001", 400, ["The subscription is not valid", "Correct the field that is named."]),
  SUBSCRIPTION_UNKNOWN: final("MESH-6002", 404, ["No such subscription", "List them: GET /v1/subscriptions."]),
  SUBSCRIPTION_EXISTS: final("MESH-6003", 409, ["A subscription with this id exists", "Choose another id, or PUT to change it."]),
  SINK_FORBIDDEN: final("MESH-6004", 400, ["The sink's address is not allowed", "Use a public address, or allow private ones in the runtime's configuration."]),
  DELIVERY_FAILED: passing("MESH-6005", 502, ["The target did not take the event", "Look at the status or the error given; the mesh tries again by the delivery policy."]),
  DELIVERY_REFUSED: final("MESH-6006", 502, ["The target refused the event for good", "Correct the target, then redrive the dead letter."]),
  TRANSFORM_FAILED: final("MESH-6020", 422, ["The transform failed on the event", "Try the rule on the event with POST /v1/sandbox/transform, correct it, then redrive the dead letter."]),
  LINK_UNAVAILABLE: passing("MESH-7001", 503, ["The other region cannot be reached", "Nothing is lost: replication goes on when it answers."]),
  LINK_BEHIND: passing("MESH-7002", 409, ["The receiver's cursor is elsewhere", "Nothing to do: the link reads the cursor and goes on there."]),
  PULSAR_UNAVAILABLE: passing("MESH-7003", 503, ["The Pulsar cluster cannot take or give messages now", "Nothing is lost: senders keep what was not acknowledged. Check the brokers and their disks."]),
  PULSAR_DENIED: final("MESH-7004", 403, ["The Pulsar cluster refused the token or a permission", "Give the runtime's role the permission that is named, or a token that the cluster takes."]),
  PULSAR_FENCED: final("MESH-7005", 409, ["Another process of the mesh holds this in Pulsar", "Stop the other process; it is free as soon as that one's connection is gone."]),
  PULSAR_BUSY: passing("MESH-7006", 503, ["As many bytes are on their way to Pulsar as may be", "Nothing to do: try again as soon as earlier messages are acknowledged."]),
  PULSAR_LIMITED: final("MESH-7009", 501, ["Pulsar's WebSocket API cannot do this", "Give the cluster's pulsar:// or pulsar+ssl:// address; docs/pulsar-binding.md lists what the WebSocket API lacks."]),
  REGION_EXISTS: final("MESH-7010", 409, ["A region of this name is of the mesh already", "Give --replace to change how it is reached, or choose another name."]),
  REGION_UNKNOWN: final("MESH-7011", 404, ["No region of this name is of the mesh", "GET /v1/regions of the bridge lists them."]),
  PULSAR_TOKEN_EXPIRED: passing("MESH-7012", 503, ["The token for the Pulsar cluster has expired, or is not valid yet", "Write a valid one into tokenFile: everything goes on by itself. Nothing is lost meanwhile."]),
  USAGE: final("MESH-8001", 400, ["The command was not understood", "See `mesh help`."]),
  UNREACHABLE: passing("MESH-8002", 503, ["Nothing answers at this address", "Check --url and that the mesh is running: `npm start`."]),
  PORT_TAKEN: final("MESH-8003", 409, ["A port is in use", "Choose another with --port-base, or stop the process that holds it."]),
  SERVER_MISSING: final("MESH-8004", 424, ["A server that was asked for cannot run on this machine", "Install what is named, or do without it."]),
  INTERNAL: passing("MESH-9001", 500, ["An unexpected failure inside the mesh", "Report it with the log line that carries this code."]),
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorName = keyof typeof catalogue;
