/**
 * The first page: is the mesh alive, how much flows, where to look next. One self-contained document; texts in both
 * languages; everything that comes from outside is set as text, never as markup.
 */
export const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fleetmesh</title>
<style>
:root { color-scheme: light dark; --bg: #f6f7f9; --card: #fff; --ink: #1b1f24; --soft: #5b6572; --line: #dfe3e8; --accent: #0b63ce; --ok: #157347; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --bg: #0f1318; --card: #181d24; --ink: #e8ebef; --soft: #9aa5b1; --line: #2a313b; --accent: #6cb0ff; --ok: #4ac38b; --bad: #ff8a7a; } }
* { box-sizing: border-box }
body { margin: 0; background: var(--bg); color: var(--ink); font: 15px/1.5 system-ui, "PingFang SC", "Microsoft YaHei", sans-serif }
header, main, footer { max-width: 1080px; margin: 0 auto; padding: 0 20px }
header { display: flex; align-items: baseline; gap: 14px; padding-top: 26px }
h1 { font-size: 22px; margin: 0 } h2 { font-size: 15px; margin: 26px 0 10px; color: var(--soft); font-weight: 600 }
header span { color: var(--soft) } header .right { margin-left: auto; display: flex; gap: 8px; align-items: center }
button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 7px; padding: 3px 10px; cursor: pointer }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 14px }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 11px; padding: 15px 17px }
.card h3 { margin: 0 0 10px; font-size: 16px; display: flex; align-items: center; gap: 9px }
.state { font-size: 12px; font-weight: 600; padding: 1px 8px; border-radius: 9px; border: 1px solid currentColor; color: var(--ok) }
.state.down { color: var(--bad) }
dl { display: grid; grid-template-columns: 1fr auto; gap: 3px 12px; margin: 0 } dt { color: var(--soft) } dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums }
.big { font-size: 26px; font-weight: 650; font-variant-numeric: tabular-nums } .big small { font-size: 13px; color: var(--soft); font-weight: 400 }
a { color: var(--accent); text-decoration: none } a:hover, a:focus { text-decoration: underline }
.links { display: flex; gap: 14px; flex-wrap: wrap; margin-top: 11px; font-size: 14px }
table { width: 100%; border-collapse: collapse; background: var(--card); border: 1px solid var(--line); border-radius: 11px; overflow: hidden }
th, td { text-align: left; padding: 8px 13px; border-top: 1px solid var(--line) } th { color: var(--soft); font-weight: 600; border-top: 0 } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 11px; padding: 12px 15px; overflow-x: auto; font-size: 13px }
.stale { color: var(--bad); font-weight: 600 } footer { padding: 26px 20px; color: var(--soft); font-size: 13px }
</style>
</head>
<body>
<header><h1>Fleetmesh</h1><span data-text="tagline"></span><div class="right"><span id="stale" class="stale" role="status"></span><button id="language" type="button">中文</button></div></header>
<main>
<h2 data-text="regions"></h2><div class="cards" id="regions"></div>
<h2 data-text="agents"></h2><div class="cards" id="agents"></div>
<h2 data-text="topics"></h2>
<table><thead><tr><th data-text="topic"></th><th data-text="region"></th><th class="number" data-text="stored"></th><th class="number" data-text="perSecond"></th></tr></thead><tbody id="topics"></tbody></table>
<h2 data-text="try"></h2><pre id="try"></pre>
</main>
<footer><a href="/v1/overview">/v1/overview</a> · <a href="/openapi.json">/openapi.json</a></footer>
<script>
const texts = {
  en: { tagline: "events from vehicles to everyone who subscribed", regions: "Regions", agents: "Edge agents", topics: "Topics", topic: "Topic", region: "Region", stored: "stored", perSecond: "events/s", try: "Publish an event", up: "up", down: "down", connected: "agents connected", subscriptions: "subscriptions", rejected: "rejected", uptime: "up for", link: "uplink", queued: "queued", produced: "events taken", sent: "bytes sent", status: "status page", metrics: "metrics", stale: "no news since ", none: "nothing yet: publish the event below", other: "中文" },
  zh: { tagline: "车端事件，送达每一位订阅者", regions: "区域", agents: "边缘代理", topics: "主题", topic: "主题", region: "区域", stored: "已存储", perSecond: "事件/秒", try: "发布一个事件", up: "运行中", down: "无应答", connected: "在线代理", subscriptions: "订阅", rejected: "已拒绝", uptime: "运行时长", link: "上行链路", queued: "排队", produced: "已接收事件", sent: "已发送字节", status: "状态页", metrics: "指标", stale: "数据停止于 ", none: "还没有事件：请用下面的命令发布", other: "English" },
};
let language = localStorage.getItem("language") || (navigator.language.startsWith("zh") ? "zh" : "en");
let overview = { regions: [], agents: [] }, lastAt = Date.now();
const text = (name) => texts[language][name];
const number = (value) => typeof value === "number" ? value.toLocaleString(language === "zh" ? "zh-CN" : "en") : "–";
function element(tag, properties, ...children) { const made = Object.assign(document.createElement(tag), properties); made.append(...children); return made; }
function span(seconds) { if (typeof seconds !== "number") return "–"; const h = Math.floor(seconds / 3600), m = Math.floor(seconds / 60) % 60; return h ? h + " h " + m + " min" : m ? m + " min" : Math.floor(seconds) + " s"; }
function card(seen, big, rows, links) {
  const state = element("span", { className: seen.isUp ? "state" : "state down", textContent: (seen.isUp ? "● " : "▲ ") + text(seen.isUp ? "up" : "down") });
  const list = element("dl", {}, ...rows.flatMap(([name, value]) => [element("dt", { textContent: text(name) }), element("dd", { textContent: value })]));
  const anchors = element("div", { className: "links" }, ...links.map(([name, href]) => element("a", { href, textContent: name })));
  return element("section", { className: "card" }, element("h3", {}, seen.name, state), ...(big ? [element("div", { className: "big" }, big[0], " ", element("small", { textContent: big[1] }))] : []), list, anchors);
}
function regionCard(seen) {
  const s = seen.status || {};
  const rows = [["stored", number(s.stored)], ["connected", number(s.agentsConnected)], ["subscriptions", number((s.subscriptions || []).length)], ["rejected", number(s.rejected)], ["uptime", span(s.uptimeSeconds)]];
  return card(seen, [number(s.storedPerSecond), text("perSecond")], rows, [[text("metrics"), seen.url + "/metrics"], ["livez", seen.url + "/livez"]]);
}
function agentCard(seen) {
  const s = seen.status || {}, uplink = s.uplink || {}, classes = Object.values((s.buffer || {}).classes || {});
  const sum = (numbers) => seen.isUp ? number(numbers.reduce((total, one) => total + (one || 0), 0)) : "–";
  const rows = [["link", uplink.state || "–"], ["queued", sum(classes.map((c) => c.queuedEvents))], ["produced", sum(classes.map((c) => c.produced))], ["sent", sum(Object.values(uplink.bytesByTopic || {}))]];
  return card(seen, undefined, rows, [[text("status"), seen.url + "/"], [text("metrics"), seen.url + "/metrics"]]);
}
function draw() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = text(node.dataset.text);
  document.getElementById("language").textContent = text("other");
  document.getElementById("regions").replaceChildren(...overview.regions.map(regionCard));
  document.getElementById("agents").replaceChildren(...overview.agents.map(agentCard));
  const rows = overview.regions.flatMap((seen) => ((seen.status || {}).topics || []).map((topic) => element("tr", {}, element("td", { textContent: topic.name }), element("td", { textContent: seen.name }), element("td", { className: "number", textContent: number(topic.stored) }), element("td", { className: "number", textContent: number(Math.round(topic.perSecond)) }))));
  const none = element("tr", {}, element("td", { colSpan: 4, textContent: text("none") }));
  document.getElementById("topics").replaceChildren(...(rows.length ? rows : [none]));
  const first = overview.regions[0];
  if (first) document.getElementById("try").textContent = 'curl -H "Authorization: Bearer $(cat .fleetmesh/token)" -H "content-type: application/json" \\\\\\n  -H "ce-specversion: 1.0" -H "ce-id: 1" -H "ce-source: urn:me" -H "ce-type: demo.hello" \\\\\\n  ' + first.url + '/v1/topics/vehicle.hello/events -d \\'{"hello":"fleet"}\\'';
  document.getElementById("stale").textContent = Date.now() - lastAt > 10000 ? text("stale") + new Date(lastAt).toLocaleTimeString() : "";
}
async function refresh() {
  try { const answer = await fetch("/v1/overview"); if (answer.ok) { overview = await answer.json(); lastAt = Date.now(); } } catch { /* shown as stale */ }
  draw();
}
document.getElementById("language").addEventListener("click", () => { language = language === "zh" ? "en" : "zh"; localStorage.setItem("language", language); draw(); });
void refresh(); setInterval(refresh, 2000);
</script>
</body>
</html>
`;
