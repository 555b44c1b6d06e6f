/**
 * The hand-over at the bay, for a run without a link: over the hospital's own network with the code
 * that stands on its board, or as QR codes that its camera reads.
 */
import { html, useRef, useState } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";
import { silentSince } from "./strip.js";
import { QrCycle } from "./bay_code.js";

/** @typedef {import("./state.js").TabletState} TabletState */
/** @typedef {import("./state.js").Bay} Bay */

const DIGITS = 8;
const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "back", "0", "clear"];

/** Of another case than this it says nothing. @type {Bay} */
const NOT_BEGUN = { state: "idle", case: "", address: "", hospital: "", session: "", stored: 0, expected: 0, problem: "" };

/** How far this case's hand-over is. @param {TabletState} state */
function bayOf(state) {
  const bay = state.bay.value;
  return bay.case === state.case.value?.id ? bay : NOT_BEGUN;
}

/** The way to it: large while there is no link, quiet otherwise. @param {{state: TabletState}} props */
export function BayLink({ state }) {
  const link = state.link.value;
  const lost = !link?.connected || silentSince(link) !== null;
  const { state: how, stored, expected, hospital } = bayOf(state);
  if (!state.can("bay")) return null;
  return html`<a class="button bay-link ${lost && how !== "done" ? "main" : ""}" href="#/bay">
    ${how === "done" ? t("bay.done", { stored, expected, hospital }) : t("bay.title")}</a>`;
}

/** @param {{state: TabletState}} props */
export function BayView({ state }) {
  const open = state.case.value;
  const back = html`<a class="button" href="#/call">← ${t("bay.back")}</a>`;
  if (!open || !state.can("bay")) return html`<div class="empty"><h2>${t("bay.no_case")}</h2>${back}</div>`;
  return html`<div class="bay-head"><h2>${t("bay.title")}</h2><span class="muted grow clip">${open.alias ?? ""}</span>${back}</div>
    <div class="columns bay"><div class="column"><${ByNetwork} state=${state} /></div>
      <div class="column"><${ByCode} state=${state} /></div></div>`;
}

/** @param {{state: TabletState}} props */
function ByNetwork({ state }) {
  const bays = (state.unit.value?.bays ?? []).filter((bay) => bay.url);
  const [address, setAddress] = useState(bays[0]?.url ?? "");
  const [other, setOther] = useState(bays.length === 0);
  const [code, setCode] = useState("");
  const { state: how } = bayOf(state);
  const busy = how === "connecting" || how === "sending" || how === "waiting";
  const press = (/** @type {string} */ key) => setCode(
    key === "clear" ? "" : key === "back" ? code.slice(0, -1) : (code + key).slice(0, DIGITS));
  const begin = async () => {
    if (await state.ask("POST", "/api/bay", { address, code })) setCode("");
  };
  if (busy || how === "done") return html`<section class="card fill"><h2>${t("bay.network")}</h2><${Progress} state=${state} /></section>`;
  return html`<section class="card fill"><h2>${t("bay.network")}</h2>
    ${how === "failed" && html`<${Progress} state=${state} />`}
    <p class="small muted">${t("bay.network_how")}</p>
    <div class="bay-places" role="group" aria-label=${t("bay.where")}>
      ${bays.map((bay) => html`<button key=${bay.hospital} aria-pressed=${!other && address === bay.url}
        onClick=${() => { setOther(false); setAddress(bay.url); }}>${bay.label}</button>`)}
      ${bays.length > 0 && html`<button aria-pressed=${other} onClick=${() => { setOther(true); setAddress(""); }}>${t("bay.other")}</button>`}
    </div>
    ${other && html`<input class="bay-address" inputmode="url" autocomplete="off" autocapitalize="off" spellcheck=${false}
      value=${address} placeholder=${t("bay.address")} aria-label=${t("bay.address")}
      onInput=${(/** @type {any} */ event) => setAddress(event.target.value.trim())} />`}
    <output class="bay-digits number" aria-label=${t("bay.code")}>${spaced(code)}</output>
    <div class="bay-keys" role="group" aria-label=${t("bay.code")}>${KEYS.map((key) => html`<button key=${key}
      aria-label=${key.length > 1 ? t(`bay.key_${key}`) : key} onClick=${() => press(key)}>${key === "back" ? "⌫" : key === "clear" ? "✕" : key}</button>`)}</div>
    <button class="main bay-go" disabled=${code.length < DIGITS || !address} onClick=${begin}>${t("bay.begin")}</button>
  </section>`;
}

/** @param {string} code */
function spaced(code) {
  const filled = code.padEnd(DIGITS, "–");
  return `${filled.slice(0, 4)} ${filled.slice(4)}`;
}

/** How far it is, in figures and words. @param {{state: TabletState}} props */
function Progress({ state }) {
  const bay = bayOf(state);
  const busy = bay.state !== "done" && bay.state !== "failed";
  return html`<div class="bay-progress ${bay.state}" role="status">
    <strong class="bay-words">${bay.state === "done"
      ? html`<span aria-hidden="true">✓ </span>${t("bay.done", { stored: bay.stored, expected: bay.expected, hospital: bay.hospital })}`
      : t(`bay.state_${bay.state}`, { hospital: bay.hospital || bay.address })}</strong>
    ${bay.expected > 0 && bay.state !== "done" && html`<progress max=${bay.expected} value=${bay.stored}></progress>
      <span class="number">${t("bay.stored", { stored: bay.stored, expected: bay.expected })}</span>`}
    ${bay.session && html`<span class="muted">${t("bay.session", { name: bay.session })}</span>`}
    ${bay.problem && html`<span class="bay-problem">${bay.problem}</span>`}
    ${bay.state === "done" && html`<span class="muted">${t("bay.later")}</span>
      <button onClick=${() => void state.ask("DELETE", "/api/bay")}>${t("bay.once_more")}</button>`}
    ${busy && html`<button onClick=${() => void state.ask("DELETE", "/api/bay")}>${t("bay.stop")}</button>`}
  </div>`;
}

/** @param {{state: TabletState}} props */
function ByCode({ state }) {
  const [code, setCode] = useState(/** @type {{frames: string[], facts: number, all_facts: number} | null} */ (null));
  const [asking, setAsking] = useState(false);
  const told = useRef(0);
  const show = async () => {
    const found = await state.ask("GET", "/api/bay/code");
    if (found) setCode(/** @type {any} */ (found));
  };
  const said = state.case.value?.timeline.findLast((line) => line.kind === "bay_handover" && line.body.way === "qr");
  const done = async (/** @type {string} */ hospital) => {
    if (!code || !(await state.act({ action: "bay_handover", hospital, facts: code.facts }))) return;
    told.current += 1;
    setAsking(false);
    setCode(null);
  };
  if (!code) {
    return html`<section class="card fill"><h2>${t("bay.qr")}</h2><p class="small muted">${t("bay.qr_how")}</p>
      ${said && html`<strong class="bay-words">✓ ${t("bay.qr_done", { facts: said.body.facts })}</strong>`}
      <span class="grow"></span><button class="bay-go" onClick=${show}>${t("bay.qr_show")}</button></section>`;
  }
  const places = [...new Map((state.unit.value?.bays ?? []).map((bay) => [bay.hospital, bay.label])),
    ...(state.unit.value?.places ?? []).map((place) => /** @type {[string, string]} */ ([place.hospital, place.label]))];
  const hospitals = new Map(places);
  const chosen = state.case.value?.hospital;
  if (chosen) hospitals.set(chosen.hospital, chosen.name);
  return html`<div class="bay-overlay" role="dialog" aria-modal="true" aria-label=${t("bay.qr")}>
    <${QrCycle} frames=${code.frames} />
    <div class="bay-aside"><strong class="bay-words">${t("bay.qr_hold")}</strong>
      <p>${code.facts < code.all_facts ? t("bay.qr_thinned", { facts: code.facts, all: code.all_facts })
        : t("bay.qr_all", { facts: code.facts })}</p><p class="muted">${t("bay.qr_no_ecg")}</p><span class="grow"></span>
      ${asking ? html`<strong>${t("bay.qr_where")}</strong><div class="bay-places">${[...hospitals].map(([name, label]) => html`
          <button key=${name} class="main" onClick=${() => done(name)}>${label}</button>`)}
          <button onClick=${() => setAsking(false)}>${t("bay.qr_not_yet")}</button></div>`
        : html`<button class="main bay-go" onClick=${() => setAsking(true)}>${t("bay.qr_read")}</button>
          <button class="bay-go" onClick=${() => setCode(null)}>${t("bay.qr_close")}</button>`}
    </div></div>`;
}
