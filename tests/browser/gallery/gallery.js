/** Every part of the page language in every state, for screenshots and tests. */
import { html, render, useEffect, useRef } from "/static/shared/view.js";
import { loadMessages, t } from "/static/shared/i18n.js";
import { serverNow } from "/static/shared/clock.js";
import { LEVELS, Severity } from "/static/shared/severity.js";
import { Delivery } from "/static/shared/delivery.js";
import { ValueTile, band } from "/static/shared/value_tile.js";
import { TrendChart } from "/static/shared/trend_chart.js";
import { EcgStrip } from "/static/shared/ecg_strip.js";
import { EcgView } from "/static/shared/ecg_view.js";
import { TWELVE_LEADS } from "/static/shared/ecg_paper.js";
import { CaseMap } from "/static/shared/map.js";
import { Timeline } from "/static/shared/timeline.js";
import { PageSocket } from "/static/shared/socket.js";
import { LinkBar, StatusBar } from "/static/shared/status_bar.js";

const RATE = 500;
const FRAME = 50;
const start = serverNow();
const minutes = (count) => start - count * 60_000;

/** A beat as a sum of bells: [centre s, width s, mV]; enough to look like an ECG. */
const BELLS = [[0.18, 0.025, 0.12], [0.288, 0.008, -0.12], [0.31, 0.011, 1.1], [0.332, 0.009, -0.25], [0.52, 0.05, 0.3]];
const SIZE = { I: 0.7, II: 1, III: 0.4, aVR: -0.85, aVL: 0.2, aVF: 0.7, V1: -0.6, V2: -1.1, V3: 0.5, V4: 1.3, V5: 1.2, V6: 0.9 };

function beat(lead, index) {
  const at = (index / RATE) % 0.8;
  const sum = BELLS.reduce((mv, [centre, width, height]) => mv + height * Math.exp(-(((at - centre) / width) ** 2) / 2), 0);
  return sum * SIZE[lead] + 0.01 * Math.sin(index * 1.7);
}

/** Frames in the pace of a source, with what can go wrong in them. */
function feed(strip, { jitterMs = 0, gap = [0, 0], invalid = [0, 0] } = {}) {
  let next = 0;
  const began = serverNow();
  return setInterval(() => {
    while (((next + FRAME) / RATE) * 1000 <= serverNow() - began) {
      const first = next;
      next += FRAME;
      if (first >= gap[0] && first < gap[1]) continue;
      const samples = strip.leads.map((lead, which) => Float32Array.from({ length: FRAME }, (_, k) =>
        which === 1 && first >= invalid[0] && first < invalid[1] ? NaN : beat(lead, first + k)));
      setTimeout(() => strip.push(first, began + (first / RATE) * 1000, samples), Math.random() * jitterMs);
    }
  }, 20);
}

const drawn = [];
const strip = new EcgStrip({ leads: TWELVE_LEADS, rateHz: RATE, onDrawn: (what) => drawn.push(what) });
const single = new EcgStrip({ leads: ["II"], rateHz: RATE, mode: "scroll" });
const silent = new EcgStrip({ leads: ["II"], rateHz: RATE });
const query = new URLSearchParams(location.search);
const feeds = [feed(strip, { jitterMs: Number(query.get("jitter") ?? 25), gap: [400, 700], invalid: [900, 1150] }), feed(single)];
const silentFeed = feed(silent);
setTimeout(() => clearInterval(silentFeed), 1500);

const history = Array.from({ length: 40 }, (_, i) => ({
  atMs: minutes(10 - i / 4), value: i > 14 && i < 18 ? null : 92 + i * 0.6 + 4 * Math.sin(i / 3) }));
const flat = history.map(({ atMs }, i) => ({ atMs, value: 96 + (i % 2) }));
const falling = history.map(({ atMs }, i) => ({ atMs, value: 140 - i }));

function Tiles({ size }) {
  const common = { size, staleAfterS: 30 };
  return html`<div class="tiles">
    <${ValueTile} ...${common} label="HR" unit="/min" value=${118} atMs=${start} history=${history} level="medium" />
    <${ValueTile} ...${common} label="BP" unit="mmHg" value="88/52" atMs=${minutes(3)} history=${falling} />
    <${ValueTile} ...${common} label="SpO₂" unit="%" value=${91} atMs=${start} history=${flat} level="high" staleAfterS=${600} />
    <${ValueTile} ...${common} label="RR" unit="/min" value=${26} atMs=${start} history=${flat} level="low" staleAfterS=${600} />
    <${ValueTile} ...${common} label="Temp" unit="°C" value=${36.8} atMs=${start} staleAfterS=${600} />
    <${ValueTile} ...${common} label="EtCO₂" unit="mmHg" value=${31} atMs=${start} staleAfterS=${600} validity="questionable" reason="low flow" />
    <${ValueTile} ...${common} label="SpO₂ L" unit="%" value=${62} atMs=${start} staleAfterS=${600} validity="invalid" reason="sensor off" />
    <${ValueTile} ...${common} label="Gluc" unit="mmol/L" value=${null} validity="unavailable" />
    <${ValueTile} ...${common} label="HR" unit="/min" value=${74} atMs=${start} staleAfterS=${600} origin="synthetic" history=${falling} />
    <${ValueTile} ...${common} label="HR" unit="/min" value=${81} atMs=${start} staleAfterS=${600} origin="replay" />
  </div>`;
}

function Place() {
  const box = useRef(null);
  useEffect(() => {
    const map = new CaseMap(box.current, {});
    window.gallery.map = map;
    const centre = [31.2304, 121.4737];
    map.setMarker({ id: "scene", kind: "scene", lat: centre[0], lon: centre[1], label: "Case 14", accuracyM: 350 });
    map.setMarker({ id: "er", kind: "hospital", lat: centre[0] + 0.02, lon: centre[1] + 0.03, label: "First Hospital ER" });
    map.setMarker({ id: "a7", kind: "unit", lat: centre[0] + 0.006, lon: centre[1] + 0.012, label: "A7", headingDeg: 60, atMs: start, staleAfterS: 3600, chosen: true });
    map.setMarker({ id: "a9", kind: "unit", lat: centre[0] - 0.01, lon: centre[1] - 0.016, label: "A9", headingDeg: 200, atMs: minutes(4), staleAfterS: 30 });
    map.setMarker({ id: "caller", kind: "caller", lat: centre[0] - 0.004, lon: centre[1] + 0.02, label: "<b>caller</b>", accuracyM: 120 });
    map.setTrack("a7", [[31.2304, 121.4737], [31.232, 121.478], [31.236, 121.481], [31.2364, 121.4857]]);
    map.setRoute("a7", [[31.2364, 121.4857], [31.243, 121.49], [31.2504, 121.5037]]);
    return () => map.destroy();
  }, []);
  return html`<div class="map" ref=${box}></div>`;
}

function Gallery({ socket }) {
  const drill = band({ drill: true, synthetic: true });
  const entries = [
    { id: "1", atMs: minutes(22), text: "Call opened", who: "dispatcher", delivery: "seen", seenBy: "charge nurse" },
    { id: "2", atMs: minutes(14), text: "On scene", who: "A7", delivery: "delivered" },
    { id: "3", atMs: minutes(9), notedAtMs: minutes(2), text: "Aspirin 300 mg by mouth", who: "crew", delivery: "made" },
    { id: "4", atMs: minutes(7), text: "SpO₂ 84 %", level: "high", who: "monitor", delivery: "delivered", synthetic: true },
    { id: "5", atMs: minutes(5), text: "12-lead recorded: ST elevation II, III, aVF; a rather long remark that has to wrap over more than one line without breaking the table of times beside it", level: "medium", who: "monitor" },
  ];
  return html`<${LinkBar} socket=${socket} />
    <${StatusBar} socket=${socket} title="Receiving: First Hospital ER"><span>inbound: 3</span><//>
    <main>
      <section class="wide"><h2>Values</h2><${Tiles} size="console" /></section>
      <section class="wide live"><h2>Board values</h2><${Tiles} size="board" /></section>
      <section class="wide"><h2>Small values</h2><${Tiles} size="small" /></section>
      <section><h2>Severity</h2><div class="row">${LEVELS.map((level) => html`<${Severity} level=${level} />`)}</div></section>
      <section><h2>Delivery</h2><div class="row"><${Delivery} state="made" /><${Delivery} state="delivered" />
        <${Delivery} state="seen" role="charge nurse" /></div></section>
      <section><article class="card high"><div class="row"><${Severity} level="high" /><h2>STEMI suspected</h2></div>
        <p>M ~60 · Heron Blue</p><div class="row"><button class="main">Accept</button><button>Refuse</button>
        <button disabled>Divert</button><button aria-pressed="true">Held</button> <kbd>N</kbd></div></article></section>
      <section><article class="card medium ${drill.class}" data-band=${drill.word}><h2>Fall, hip</h2><p>F 82 · Li Na 李娜</p>
        <${ValueTile} size="small" label="HR" unit="/min" value=${74} atMs=${start} /></article></section>
      <section class="wide"><h2>ECG</h2><div class="sheet"><${EcgView} strip=${strip} /></div></section>
      <section><h2>One lead, scrolling</h2><div class="single"><${EcgView} strip=${single} controls=${false} /></div></section>
      <section><h2>Not live</h2><div class="single"><${EcgView} strip=${silent} controls=${false} /></div></section>
      <section><h2>Map</h2><${Place} /></section>
      <section><h2>Timeline</h2><${Timeline} entries=${entries} /></section>
      <section class="wide"><h2>Trend</h2><${TrendChart} series=${[{ label: "HR", unit: "/min", points: history },
        { label: "BP sys", unit: "mmHg", points: falling }, { label: "SpO₂", unit: "%", points: [] }].slice(0, 2)} minutes=${10} /></section>
    </main>`;
}

const states = [];
window.gallery = { strip, single, silent, drawn, states, feeds, t };
await loadMessages();
const socket = new PageSocket("/ws", { onState: (message) => states.push(message), silenceMs: 1500 });
window.gallery.socket = socket;
render(html`<${Gallery} socket=${socket} />`, document.body);
