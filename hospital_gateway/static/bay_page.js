/**
 * The hand-over at the bay: the code that the crew types into its tablet, the camera that reads the
 * tablet's QR codes, and how far each hand-over is.
 */
import { html, useEffect, useRef, useState } from "/static/shared/view.js";
import { countdown, now, timeOfDay } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { QrCamera } from "/static/shared/qr_camera.js";
import { StatusBar } from "/static/shared/status_bar.js";
import { FrameCollection } from "./bay_frames.js";

/** @typedef {import("./state.js").ArrivalState} ArrivalState */
/** @typedef {import("./state.js").BaySession} BaySession */

/** @param {{state: ArrivalState}} props */
export function BayPage({ state }) {
  useEffect(() => {
    state.looks.value = [];
    void state.ask("GET", "/api/bay").then((told) => { if (told) state.bay.value = told.sessions; });
    const escape = (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Escape" && !(event.target instanceof HTMLInputElement)) location.hash = "#/";
    };
    addEventListener("keydown", escape);
    return () => removeEventListener("keydown", escape);
  }, []);
  return html`<div class="bay-page">
    <${StatusBar} socket=${state.socket} title=${t("bay.title")}>
      <a class="button" href="#/">← ${t("patient.back")} <kbd>Esc</kbd></a><//>
    <main class="bay-main">
      <section class="card"><h2>${t("bay.network")}</h2><p>${t("bay.network_how")}</p><${Code} state=${state} /></section>
      <section class="card"><h2>${t("bay.qr")}</h2><p>${t("bay.qr_how")}</p><${Camera} state=${state} /></section>
      <section class="card bay-list"><h2>${t("bay.list")}</h2><${Sessions} sessions=${state.bay.value} /></section>
    </main></div>`;
}

/** The code, large enough to be read out across the bay. @param {{state: ArrivalState}} props */
function Code({ state }) {
  const [made, setMade] = useState(/** @type {{code: string, untilMs: number, addresses: string[]} | null} */ (null));
  const make = async () => {
    const told = await state.ask("POST", "/api/bay/code");
    if (told) setMade({ code: told.code, untilMs: Date.now() + told.valid_s * 1000, addresses: told.addresses });
  };
  useEffect(() => {
    if (!made) return undefined;
    const timer = setTimeout(() => setMade(null), made.untilMs - Date.now());
    return () => clearTimeout(timer);
  }, [made]);
  void now.value;
  if (!made) return html`<button class="main bay-make" onClick=${make}>${t("bay.make")}</button>`;
  return html`<output class="bay-code number" aria-label=${t("bay.code")}>${made.code.slice(0, 4)} ${made.code.slice(4)}</output>
    <p>${t("bay.address")} <strong class="number bay-address">${made.addresses.join(", ")}</strong></p>
    <p>${t("bay.valid")} <strong class="number">${countdown(Math.max(0, made.untilMs - Date.now()))}</strong></p>
    <div class="bay-buttons"><button onClick=${make}>${t("bay.again")}</button>
      <button onClick=${() => { setMade(null); void state.ask("DELETE", "/api/bay/code"); }}>${t("bay.end")}</button></div>`;
}

/** Reads the codes one by one, in whatever order, until all are there. @param {{state: ArrivalState}} props */
function Camera({ state }) {
  const [on, setOn] = useState(false);
  const [problem, setProblem] = useState("");
  const [read, setRead] = useState({ have: 0, count: 0 });
  const [done, setDone] = useState(/** @type {any} */ (null));
  const video = useRef(/** @type {HTMLVideoElement | null} */ (null));
  useEffect(() => {
    if (!on || !video.current) return undefined;
    const frames = new FrameCollection();
    const camera = new QrCamera(video.current, (text) => {
      if (!frames.take(text)) return;
      setRead({ have: frames.have, count: frames.count });
      if (!frames.complete) return;
      setOn(false);
      void state.ask("POST", "/api/bay/qr", { frames: frames.texts }).then(setDone);
    });
    Object.assign(window, { forerunCamera: camera });
    camera.start().catch((error) => { setProblem(String(error?.message ?? error)); setOn(false); });
    return () => camera.stop();
  }, [on]);
  const begin = () => { setDone(null); setProblem(""); setRead({ have: 0, count: 0 }); setOn(true); };
  return html`
    ${done && html`<div class="bay-done" role="status"><strong>✓ ${t("bay.qr_done", { unit: done.label, stored: done.stored })}</strong>
      ${done.stored < done.expected && html`<span>${t("bay.qr_thinned", { stored: done.stored, expected: done.expected })}</span>`}
      <a class="button main" href=${`#/case/${done.case}`}>${t("bay.open")}</a></div>`}
    ${problem && html`<p class="bay-problem" role="alert">${t("bay.no_camera", { why: problem })}</p>`}
    ${on ? html`<div class="bay-camera"><video ref=${video} muted playsinline></video></div>
        <progress max=${read.count || 1} value=${read.have}></progress>
        <p role="status" class="number">${read.count ? t("bay.qr_read", { have: read.have, count: read.count }) : t("bay.qr_waiting")}</p>
        <button onClick=${() => setOn(false)}>${t("bay.qr_stop")}</button>`
      : html`<button class="main bay-make" onClick=${begin}>${t("bay.qr_begin")}</button>`}`;
}

/** @param {{sessions: BaySession[]}} props */
function Sessions({ sessions }) {
  if (!sessions.length) return html`<p class="muted">${t("bay.none")}</p>`;
  return html`<ul>${sessions.map((one) => html`<li key=${one.name} class=${one.closed ? "closed" : "open"}>
    <time class="number">${timeOfDay(one.at_ms)}</time>
    <a href=${`#/case/${one.case}`}><strong>${one.label || one.unit}</strong></a>
    <span class="muted">${t(`bay.way_${one.way}`)} · ${one.name}</span>
    <span class="number">${t(one.closed ? "bay.stored_all" : "bay.stored", { stored: one.stored, expected: one.expected })}</span>
    ${!one.closed && html`<progress max=${one.expected} value=${one.stored}></progress>`}
    ${one.refused > 0 && html`<strong>${t("bay.refused", { refused: one.refused, reason: one.reason })}</strong>`}</li>`)}</ul>`;
}

/**
 * On card and patient page: that the case came past dispatch, and how far it is known there.
 * @param {{card: import("./state.js").Card}} props
 */
export function BayNote({ card }) {
  const { bay } = card;
  if (!bay) return null;
  const words = bay.confirmed ? t("bay.note_confirmed", { time: timeOfDay(bay.at_ms) })
    : t("bay.note", { time: timeOfDay(bay.at_ms) });
  return html`<div class="bay-note ${bay.confirmed ? "confirmed" : ""}" role="note">
    <strong>${words}</strong>
    <span>${t(bay.stored < bay.expected ? "bay.stored" : "bay.stored_all", { stored: bay.stored, expected: bay.expected })}</span>
    ${bay.differing > 0 && html`<strong role="alert">${t("bay.differing", { count: bay.differing })}</strong>`}</div>`;
}

/**
 * Whether all that is shown came from the vehicle at the bay: a lost link to dispatch makes it no older.
 * @param {import("./state.js").Card} card
 */
export function isPastDispatch(card) {
  return card.bay != null && !card.bay.confirmed;
}
