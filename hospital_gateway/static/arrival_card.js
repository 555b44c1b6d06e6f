/**
 * One patient on the board: headline concern, who, when, vital signs, what is needed, who has seen it.
 */
import { html, useEffect, useRef, useState } from "/static/shared/view.js";
import { ageInWords, durationInWords, now } from "/static/shared/clock.js";
import { Delivery } from "/static/shared/delivery.js";
import { t } from "/static/shared/i18n.js";
import { NeedsMark } from "/static/shared/needs.js";
import { Severity, levelClass, levelOf } from "/static/shared/severity.js";
import { distance } from "/static/shared/words.js";
import {
  detail, etaFigure, headline, nameOf, needWord, originBand, roleWord, severityWord,
  sexAndAge, stageOf, unitName,
} from "./card_words.js";
import { VitalTiles } from "./vital_tiles.js";

/** @typedef {import("./state.js").ArrivalState} ArrivalState */
/** @typedef {import("./card_words.js").Row} Row */

/** @param {{row: Row, state: ArrivalState, number: number}} props */
export function ArrivalCard({ row, state, number }) {
  const { one, card, patient } = row;
  const band = originBand(card, patient);
  const level = levelOf(patient.severity);
  const title = headline(card, patient);
  const pathway = patient.pathway ?? "";
  const needs = state.needs.value[pathway] ?? [];
  const open = () => { location.hash = caseHash(row); };
  return html`<article class="card arrival live ${levelClass(level)} ${band.class}" data-band=${band.word}
      data-case=${card.case} data-patient=${patient.label ?? ""} tabindex="0"
      aria-label=${`${severityWord(patient.severity)}, ${title}, ${nameOf(card, patient)}`}
      onClick=${(/** @type {MouseEvent} */ event) => { if (!isControl(event.target)) open(); }}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => { if (event.key === "Enter" && event.target === event.currentTarget) open(); }}>
    <header class="arrival-head">
      <div class="arrival-title">
        <h2 class=${titleSize(title)} title=${title}>${title}</h2>
        <p class="arrival-who"><${Severity} level=${level} word=${severityWord(patient.severity)} />
          <strong>${sexAndAge(patient)}</strong> <${NeedsMark} needs=${card.needs} />
          <span class="clip">${nameOf(card, patient)}</span>
          <span class="muted clip">${[unitName(card), stageOf(card) && t(`stage.${stageOf(card)}`),
            detail(card, patient)].filter(Boolean).join(" · ")}</span></p>
      </div>
      <${EtaBlock} row=${row} state=${state} />
    </header>
    <div class="arrival-body">
      <${VitalTiles} one=${one} patient=${patient} staleS=${state.staleS.value.vitals} size="board"
        banded=${band.origins} />
      <${LeadStrip} row=${row} state=${state} />
    </div>
    <footer class="arrival-foot">
      <kbd aria-hidden="true">${number}</kbd>
      <${ChainWarning} card=${card} />
      ${needs.length > 0 && html`<span class="needs"><span class="muted">${t("card.needs")}</span>
        ${needs.map((need) => html`<span class="need">${needWord(need)}</span>`)}</span>`}
      ${patient.alert_late_ms > 0 && html`<span class="muted">${t("card.alert_late", { late: durationInWords(patient.alert_late_ms) })}</span>`}
      <span class="grow"></span>
      <${SeenBy} card=${card} />
      <${AcknowledgeButton} card=${card} state=${state} />
    </footer></article>`;
}

/** Two lines for what is long; a little smaller where cards stand side by side. @param {string} title */
function titleSize(title) {
  let width = 0; // of the Latin letters that would take the same room
  for (const letter of title) width += letter >= "\u2e80" ? 2 : 1;
  return width > 24 ? "long" : width > 16 ? "middling" : "";
}

/** @param {Row} row */
export function caseHash({ card, patient }) {
  const label = card.patients.length > 1 ? `/${encodeURIComponent(patient.label ?? "")}` : "";
  return `#/case/${card.case}${label}`;
}

/** @param {EventTarget | null} target */
function isControl(target) {
  return target instanceof Element && target.closest("button, select, input, a") !== null;
}

/** When, and how old that word is. @param {{row: Row, state: ArrivalState}} props */
export function EtaBlock({ row, state }) {
  const { eta, card } = row;
  const at = now.value;
  const limitS = state.staleS.value.arrival ?? 20;
  const ageMs = eta ? at - eta.position_ms : 0;
  const stale = eta !== null && ageMs > limitS * 1000;
  if (card.status === "arrived") {
    return html`<div class="eta"><span class="eta-label">${t("eta.at_door")}</span></div>`;
  }
  return html`<div class="eta ${stale ? "stale" : ""}">
    <span class="eta-label">${t("eta.label")}</span>
    <output class="eta-figure number ${stale ? "hollow" : ""}">${etaFigure(eta, at)}</output>
    <span class="eta-note">${eta
      ? (stale ? html`<strong>${t("eta.position", { age: ageInWords(ageMs) })}</strong>`
        : html`<span title=${t("eta.position", { age: ageInWords(ageMs) })}>${distance(eta.distance_m)} · ${ageInWords(ageMs)}</span>`)
      : t("eta.none")}${eta && eta.origin !== "live" && html` · <span class="eta-origin">${t(`origin.${eta.origin}`)}</span>`}</span></div>`;
}

/** Lead II, live, as a sign of life; the patient's page has all leads. @param {{row: Row, state: ArrivalState}} props */
function LeadStrip({ row, state }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const ecg = row.patient.ecg;
  const id = ecg && !ecg.ended ? ecg.setup.setup_id : null;
  useEffect(() => {
    const opened = id ? state.ecg.open(row.card.case, id, "II") : null;
    if (!opened || !box.current) return undefined;
    const detach = opened.view.strip.attach(box.current);
    return () => {
      detach();
      opened.close();
    };
  }, [row.card.case, id]);
  if (!id) return html`<p class="no-ecg muted">${t(ecg ? "ecg_card.ended" : "ecg_card.none")}</p>`;
  return html`<div class="lead-strip"><div ref=${box}></div></div>`;
}

/** Which roles have seen the case, and how far the word of it has come. @param {{card: import("./state.js").Card}} props */
export function SeenBy({ card }) {
  if (!card.seen.length) return html`<span class="unseen">${t("seen.nobody")}</span>`;
  return html`<span class="seen-by">${card.seen.map((mark) => {
    const role = roleWord(mark.role);
    const words = mark.problem ? t("seen.refused", { role, reason: mark.problem }) : t("seen.by", { role });
    return html`<span class="seen" key=${mark.role} title=${words}>
      ${mark.problem ? html`<strong class="clip">${words}</strong>`
        : html`<${Delivery} state=${mark.state === "delivered" ? "delivered" : "made"} words=${false} />
          <span class="clip">${words}</span>`}</span>`;
  })}</span>`;
}

/** The second click of a double click answers no question that the first has opened, ms. */
const DOUBLE_CLICK_MS = 600;

/** One click, by role; the role is asked once. @param {{card: import("./state.js").Card, state: ArrivalState}} props */
export function AcknowledgeButton({ card, state }) {
  const [asking, setAsking] = useState(false);
  const role = state.role.value;
  const group = useRef(/** @type {HTMLSpanElement | null} */ (null));
  const askedAt = useRef(0);
  useEffect(() => {
    askedAt.current = performance.now();
    if (asking) group.current?.querySelector("button")?.focus(); // once: a redraw must not take the focus
  }, [asking]);
  if (card.seen.some((mark) => mark.role === role && !mark.problem)) return null;
  const acknowledge = (/** @type {string} */ as) => {
    setAsking(false);
    state.setRole(as);
    void state.act({ action: "acknowledge", case: card.case, role: as });
  };
  if (asking && !role) {
    return html`<span class="roles" role="group" ref=${group} aria-label=${t("role.ask")}>
      <span>${t("role.ask")}</span>
      ${state.roles.value.map((name) => html`<button class="clip" key=${name} title=${roleWord(name)}
        onClick=${(/** @type {MouseEvent} */ event) => {
          const byPointer = event.detail > 0;
          if (!byPointer || performance.now() - askedAt.current > DOUBLE_CLICK_MS) acknowledge(name);
        }}
        >${roleWord(name)}</button>`)}</span>`;
  }
  const words = role ? t("acknowledge.as", { role: roleWord(role) }) : t("acknowledge");
  return html`<button class="main acknowledge clip" title=${words}
    onClick=${() => (role ? acknowledge(role) : setAsking(true))}>${words}</button>`;
}

/** A copy that is not what the hub wrote is never shown in silence. @param {{card: import("./state.js").Card}} props */
export function ChainWarning({ card }) {
  const [place] = card.chain.broken;
  if (place === undefined) return null;
  return html`<strong class="chain-broken" role="alert">${t("chain.broken", { place })}</strong>`;
}
