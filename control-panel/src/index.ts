export { panelConfigSchema, type PanelConfig, type PanelConfigInput } from "./config.ts";
export { createPanel, type Panel } from "./panel.ts";
