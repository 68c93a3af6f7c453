/** The gateway's own page: one file, no assets from elsewhere, because a gateway may have no other network than the one in trouble. */
export const statusPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>Fleetmesh edge agent</title>
<style>
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b2330;--soft:#5c6b80;--line:#dfe4ea;--ok:#11804a;--warn:#b25e00;--bad:#c02637;--bar:#3569d4}
@media(prefers-color-scheme:dark){:root{--bg:#11151c;--card:#1a202a;--ink:#e5eaf2;--soft:#97a5b8;--line:#2c3542;--ok:#45c787;--warn:#f0a64b;--bad:#ff7482;--bar:#6c9bff}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,"PingFang SC","Microsoft YaHei",sans-serif}
main{max-width:960px;margin:0 auto;padding:24px 16px;display:grid;gap:16px}
header{display:flex;gap:12px;align-items:baseline;flex-wrap:wrap}h1{font-size:20px;margin:0}header small{color:var(--soft)}header button{margin-left:auto}
button{font:inherit;color:inherit;background:none;border:1px solid var(--line);border-radius:6px;padding:2px 10px;cursor:pointer}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px}h2{font-size:13px;margin:0 0 10px;color:var(--soft);font-weight:600}
.big{font-size:22px;font-weight:600;margin-bottom:6px}.ok{color:var(--ok)}.warn{color:var(--warn)}.bad{color:var(--bad)}
.grid{display:grid;gap:16px;grid-template-columns:repeat(auto-fit,minmax(260px,1fr))}
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{text-align:right;padding:5px 6px;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:500}tr:last-child td{border-bottom:0}.scroll{overflow-x:auto}
dl{display:grid;grid-template-columns:auto 1fr;gap:4px 14px;margin:0}dt{color:var(--soft)}dd{margin:0;text-align:right;overflow-wrap:anywhere}
.meter{height:8px;background:var(--line);border-radius:4px;overflow:hidden;margin:8px 0}.meter i{display:block;height:100%;background:var(--bar)}
ul{margin:0;padding-left:18px}li{overflow-wrap:anywhere}
</style></head><body><main>
<header><h1 id="name">…</h1><small id="epoch"></small><button id="lang" type="button">中文</button></header>
<div class="grid">
<section><h2 data-t="uplink"></h2><div class="big" id="state">…</div><dl id="link"></dl></section>
<section><h2 data-t="buffer"></h2><div class="big" id="used"></div><div class="meter"><i id="meter"></i></div><dl id="disk"></dl></section>
</div>
<section><h2 data-t="classes"></h2><div class="scroll"><table><thead id="head"></thead><tbody id="rows"></tbody></table></div></section>
<div class="grid">
<section><h2 data-t="ledger"></h2><dl id="ledger"></dl></section>
<section><h2 data-t="problems"></h2><ul id="problems"></ul></section>
</div>
</main><script>
"use strict";
const words={en:{uplink:"Connection to the region",buffer:"Buffer",classes:"By class",ledger:"Ledger",problems:"Last problems",
online:"online",greeting:"greeting",connecting:"connecting",waiting:"offline, waiting",stopped:"stopped",gone:"the agent does not answer",
region:"Region",since:"Since",skew:"Clock ahead of the region",flight:"In flight",sent:"Sent on the uplink",reconnects:"Reconnects",
of:"of",disk:"Disk",takes:"takes events",doors:"Doors",salvaged:"Salvaged buffers",cls:"Class",queued:"Waiting",bytes:"Bytes",oldest:"Oldest",
produced:"Produced",confirmed:"Confirmed",evicted:"Evicted",expired:"Expired",stored:"Stored in the region",rejected:"Rejected",filtered:"Filtered",
lost:"Lost with a damaged buffer",difference:"Difference",none:"none",critical:"critical",normal:"normal",bulk:"bulk",refused:"refused by the region",damage:"buffer put aside",undeliverable:"Kept aside, cannot be sent"},
zh:{uplink:"与区域的连接",buffer:"本地缓存",classes:"按等级",ledger:"账目",problems:"最近的问题",
online:"在线",greeting:"握手中",connecting:"连接中",waiting:"离线，等待重连",stopped:"已停止",gone:"代理没有响应",
region:"区域",since:"自",skew:"本地时钟超前",flight:"在途",sent:"上行字节",reconnects:"重连次数",
of:"/",disk:"磁盘",takes:"可写入",doors:"入口",salvaged:"抢救的缓存",cls:"等级",queued:"等待",bytes:"字节",oldest:"最早",
produced:"产生",confirmed:"已确认",evicted:"已淘汰",expired:"已过期",stored:"区域已存储",rejected:"被拒绝",filtered:"已过滤",
lost:"随损坏缓存丢失",difference:"差额",none:"无",critical:"关键",normal:"普通",bulk:"批量",refused:"被区域拒绝",damage:"缓存文件已隔离",undeliverable:"无法发送，已留存"}};
let lang=navigator.language.startsWith("zh")?"zh":"en",last;
const at=id=>document.getElementById(id),t=key=>words[lang][key]??key;
const size=n=>n<1024?n+" B":n<1048576?(n/1024).toFixed(1)+" KiB":n<1073741824?(n/1048576).toFixed(1)+" MiB":(n/1073741824).toFixed(2)+" GiB";
const span=ms=>{const s=Math.max(0,Math.round(ms/1000));return s<90?s+" s":s<5400?Math.round(s/60)+" min":s<172800?Math.round(s/3600)+" h":Math.round(s/86400)+" d"};
const when=ms=>new Date(ms).toLocaleTimeString(lang==="zh"?"zh-CN":"en-GB");
const number=n=>n.toLocaleString("en-US");
function list(id,pairs){const dl=at(id);dl.replaceChildren();for(const[k,v,c]of pairs){const dt=document.createElement("dt"),dd=document.createElement("dd");dt.textContent=k;dd.textContent=v;if(c)dd.className=c;dl.append(dt,dd)}}
function row(cells,tag){const tr=document.createElement("tr");for(const c of cells){const td=document.createElement(tag);td.textContent=c;tr.append(td)}return tr}
function show(){document.documentElement.lang=lang;at("lang").textContent=lang==="zh"?"English":"中文";
for(const h of document.querySelectorAll("[data-t]"))h.textContent=t(h.dataset.t);
if(!last)return;const{uplink:u,buffer:b,ledger:l}=last;
at("name").textContent=last.agentId;at("epoch").textContent=last.epoch;
const s=at("state");s.textContent=t(u.state);s.className="big "+(u.state==="online"?"ok":u.refused.length?"bad":"warn");
list("link",[[t("region"),u.region],[t("since"),when(u.sinceMs)],[t("skew"),u.skewMs===undefined?"–":Math.round(u.skewMs)+" ms",Math.abs(u.skewMs??0)>5000?"warn":""],
[t("flight"),size(u.inFlightBytes)+" ("+u.inFlightBatches+")"],[t("sent"),size(Object.values(u.bytesByTopic).reduce((a,n)=>a+n,0)|0)],[t("reconnects"),number(u.counts.reconnects)],[t("undeliverable"),number(u.counts.undeliverable),u.counts.undeliverable?"bad":""]]);
at("used").textContent=size(b.bytes)+" "+t("of")+" "+size(b.bytesMax);at("meter").style.width=Math.min(100,100*b.bytes/b.bytesMax)+"%";
list("disk",[[t("disk"),b.unavailable??t("takes"),b.unavailable?"bad":"ok"],[t("salvaged"),String(b.salvagedCount)],...Object.entries(last.doors)]);
at("head").replaceChildren(row(["cls","queued","bytes","oldest","produced","confirmed","evicted","expired"].map(t),"th"));
at("rows").replaceChildren(...Object.entries(b.classes).map(([n,c])=>row([t(n),number(c.queuedEvents),size(c.queuedBytes),c.oldestMs===undefined?"–":span(last.nowMs-c.oldestMs),number(c.produced),number(c.confirmed),number(c.evicted),number(c.expired)],"td")));
list("ledger",["produced","stored","queued","expired","evicted","filtered","rejected","lost","difference"].map(k=>[t(k),number(l[k]),k==="difference"?(l[k]?"bad":"ok"):""]));
const problems=[];if(u.lastError)problems.push(when(u.lastError.atMs)+" "+u.lastError.reason);
for(const r of u.refused)problems.push(t("refused")+": "+r.code+" "+r.reason);
for(const d of b.damages)problems.push(when(d.atMs)+" "+t("damage")+": "+d.reason);
for(const r of u.rejected.slice(-5))problems.push(t("rejected")+" "+t(r.eventClass)+" #"+r.sequence+": "+r.code+" "+r.reason);
at("problems").replaceChildren(...(problems.length?problems:[t("none")]).map(p=>{const li=document.createElement("li");li.textContent=p;return li}))}
async function refresh(){try{last=await(await fetch("status.json")).json();show()}catch{at("state").textContent=t("gone");at("state").className="big bad"}setTimeout(refresh,2000)}
at("lang").addEventListener("click",()=>{lang=lang==="zh"?"en":"zh";show()});show();refresh();
</script></body></html>
`;
