import type { MessageId } from "../message-id.ts";
import { commandType, type CommandType } from "./command-type.ts";
import { ProtobufWriter } from "./protobuf-writer.ts";

/** The version up to which this client knows what it may be sent. */
const protocolVersion = 19;
const clientVersion = "fleetmesh";
/** `fencing`: ends all other producers of the topic, and no other may be opened as long as this one lives. */
const accessModes = { shared: 0, fencing: 3 } as const;
export type ProducerAccess = keyof typeof accessModes;
const exclusive = 0;
const cumulative = 1;

export interface ProducerCommand {
  readonly topic: string;
  readonly producerId: number;
  readonly requestId: number;
  readonly name: string | undefined;
  readonly access: ProducerAccess;
}

export interface SubscribeCommand {
  readonly topic: string;
  readonly subscription: string;
  readonly consumerId: number;
  readonly requestId: number;
  readonly isDurable: boolean;
  /** Read from this message on, itself too; only for what is not durable. */
  readonly from?: MessageId | "earliest" | "latest";
  readonly isCompacted?: boolean;
}

/** Before the earliest message. */
const earliest: MessageId = { ledger: -1, entry: -1, batch: -1 };

const scratch = new ProtobufWriter();

/** A command without payload, framed. */
function frame(type: CommandType, fill?: (out: ProtobufWriter) => void): Buffer {
  scratch.clear();
  scratch.u32(0);
  scratch.u32(0);
  scratch.number(1, type);
  const start = scratch.begin(type);
  fill?.(scratch);
  scratch.end(start);
  scratch.patchU32(0, scratch.length - 4);
  scratch.patchU32(4, scratch.length - 8);
  return Buffer.from(scratch.view());
}

export interface ConnectCommand {
  readonly token: string | undefined;
  /** host:port of the broker to which a Pulsar proxy shall pass everything on. */
  readonly proxyTo: string | undefined;
}

export const connectFrame = ({ token, proxyTo }: ConnectCommand): Buffer =>
  frame(commandType.connect, (out) => {
    out.text(1, clientVersion);
    if (token !== undefined) out.bytes(3, Buffer.from(token));
    out.number(4, protocolVersion);
    if (token !== undefined) out.text(5, "token");
    if (proxyTo !== undefined) out.text(6, proxyTo);
    const features = out.begin(10);
    // The broker may ask for a fresh token on an open connection; and may put its own time before messages.
    out.flag(1, true);
    out.flag(2, true);
    out.end(features);
  });

export const authResponseFrame = (token: string): Buffer =>
  frame(commandType.authResponse, (out) => {
    out.text(1, clientVersion);
    const response = out.begin(2);
    out.text(1, "token");
    out.bytes(2, Buffer.from(token));
    out.end(response);
    out.number(3, protocolVersion);
  });

export const pingFrame = frame(commandType.ping);
export const pongFrame = frame(commandType.pong);

export const lookupFrame = (topic: string, requestId: number, isAuthoritative: boolean): Buffer =>
  frame(commandType.lookup, (out) => {
    out.text(1, topic);
    out.number(2, requestId);
    out.flag(3, isAuthoritative);
  });

export const producerFrame = (given: ProducerCommand): Buffer =>
  frame(commandType.producer, (out) => {
    out.text(1, given.topic);
    out.number(2, given.producerId);
    out.number(3, given.requestId);
    if (given.name !== undefined) out.text(4, given.name);
    out.flag(9, given.name !== undefined);
    out.number(10, accessModes[given.access]);
  });

export const subscribeFrame = (given: SubscribeCommand): Buffer =>
  frame(commandType.subscribe, (out) => {
    out.text(1, given.topic);
    out.text(2, given.subscription);
    out.number(3, exclusive);
    out.number(4, given.consumerId);
    out.number(5, given.requestId);
    out.flag(8, given.isDurable);
    // Without a place, the broker takes the latest.
    if (given.from !== undefined && given.from !== "latest")
      writeMessageId(out, 9, given.from === "earliest" ? earliest : given.from);
    out.flag(11, given.isCompacted === true);
    // Topics are made by the administration alone.
    out.flag(15, false);
  });

export const flowFrame = (consumerId: number, permits: number): Buffer =>
  frame(commandType.flow, (out) => {
    out.number(1, consumerId);
    out.number(2, permits);
  });

/** This one and all before it. */
export const ackFrame = (consumerId: number, id: MessageId): Buffer =>
  frame(commandType.ack, (out) => {
    out.number(1, consumerId);
    out.number(2, cumulative);
    writeMessageId(out, 3, id);
  });

export const getLastMessageIdFrame = (consumerId: number, requestId: number): Buffer =>
  frame(commandType.getLastMessageId, (out) => {
    out.number(1, consumerId);
    out.number(2, requestId);
  });

export const closeProducerFrame = (producerId: number, requestId: number): Buffer =>
  closeFrame(commandType.closeProducer, producerId, requestId);

export const closeConsumerFrame = (consumerId: number, requestId: number): Buffer =>
  closeFrame(commandType.closeConsumer, consumerId, requestId);

const closeFrame = (type: CommandType, id: number, requestId: number): Buffer =>
  frame(type, (out) => {
    out.number(1, id);
    out.number(2, requestId);
  });

function writeMessageId(out: ProtobufWriter, field: number, id: MessageId): void {
  const start = out.begin(field);
  out.number(1, id.ledger);
  out.number(2, id.entry);
  if (id.batch >= 0) out.number(4, id.batch);
  out.end(start);
}
