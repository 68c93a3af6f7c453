export { panelConfigSchema, type PanelConfig } from "./config.ts";
export { createPanel, type Panel } from "./panel.ts";
