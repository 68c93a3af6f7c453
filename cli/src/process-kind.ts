import type { Chance, Clock, Logger, Part } from "@fleetmesh/core";
import type { z } from "zod";

export interface Ports {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
}

/** One kind of process: what configures it and what makes it. Loaded on first use: the edge never loads the cloud's drivers. */
export interface ProcessFactory {
  readonly schema: z.ZodType;
  readonly create: (config: never, ports: Ports) => Part | Promise<Part>;
}

export const processKinds = {
  runtime: async (): Promise<ProcessFactory> => {
    const { createRuntime, runtimeConfigSchema } = await import("@fleetmesh/cloud-runtime");
    return { schema: runtimeConfigSchema, create: createRuntime };
  },
  edge: async (): Promise<ProcessFactory> => {
    const { createEdgeAgent, edgeAgentConfigSchema } = await import("@fleetmesh/edge-agent");
    return { schema: edgeAgentConfigSchema, create: createEdgeAgent };
  },
  bridge: async (): Promise<ProcessFactory> => {
    const { bridgeConfigSchema, createBridge } = await import("@fleetmesh/bridge");
    return { schema: bridgeConfigSchema, create: createBridge };
  },
  panel: async (): Promise<ProcessFactory> => {
    const { createPanel, panelConfigSchema } = await import("@fleetmesh/control-panel");
    return { schema: panelConfigSchema, create: createPanel };
  },
} as const;

export type ProcessKind = keyof typeof processKinds;
