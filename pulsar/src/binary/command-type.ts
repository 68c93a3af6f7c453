/** Pulsar's commands by number; a command's fields lie in BaseCommand under the same number. */
export const commandType = {
  connect: 2,
  connected: 3,
  subscribe: 4,
  producer: 5,
  send: 6,
  sendReceipt: 7,
  sendError: 8,
  message: 9,
  ack: 10,
  flow: 11,
  success: 13,
  error: 14,
  closeProducer: 15,
  closeConsumer: 16,
  producerSuccess: 17,
  ping: 18,
  pong: 19,
  lookup: 23,
  lookupResponse: 24,
  getLastMessageId: 29,
  getLastMessageIdResponse: 30,
  authChallenge: 36,
  authResponse: 37,
} as const;

export type CommandType = (typeof commandType)[keyof typeof commandType];
