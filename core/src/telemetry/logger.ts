import { pino, type DestinationStream, type Logger } from "pino";

export type { Logger };

export const logLevels = ["trace", "debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  readonly part: string;
  readonly level: LogLevel;
}

/** One JSON line per fact on stderr: a constant message, facts in fields, secrets redacted. Data on stdout stays clean. */
export function createLogger(options: LoggerOptions, destination?: DestinationStream): Logger {
  const settings = {
    level: options.level,
    base: { part: options.part },
    redact: ["token", "*.token", "password", "*.password", "secret", "*.secret", "authorization"],
  };
  return pino(settings, destination ?? pino.destination({ dest: 2, sync: false }));
}
