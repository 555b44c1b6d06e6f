/**
 * One patient: left what is known in the order of ATMIST and the timeline, centre the 12-lead ECG and
 * the trends, right the cabin and the vital signs.
 */
import { html, useEffect, useRef, useState } from "/static/shared/view.js";
import { durationInWords, now, timeOfDay } from "/static/shared/clock.js";
import { EcgView as Strip } from "/static/shared/ecg_view.js";
import { t } from "/static/shared/i18n.js";
import { Severity, levelClass, levelOf } from "/static/shared/severity.js";
import { StatusBar } from "/static/shared/status_bar.js";
import { Timeline } from "/static/shared/timeline.js";
import { TrendChart } from "/static/shared/trend_chart.js";
import { word } from "/static/shared/words.js";
import { AcknowledgeButton, ChainWarning, EtaBlock, SeenBy } from "./arrival_card.js";
import { BayNote, isPastDispatch } from "./bay_page.js";
import { CabinVideo } from "./cabin_video.js";
import { CallerVideo } from "./caller_video.js";
import {
  headline, nameOf, needWord, originBand, severityWord, sexAndAge, unitName,
} from "./card_words.js";
import { entryOf } from "./timeline_words.js";
import { VitalTiles, newestOf } from "./vital_tiles.js";

/** @typedef {import("./state.js").ArrivalState} ArrivalState */
/** @typedef {import("./state.js").Case} Case */
/** @typedef {import("./state.js").Patient} Patient */

/** @param {{state: ArrivalState, caseId: string, label: string | null}} props */
export function PatientPage({ state, caseId, label }) {
  const one = state.cases.value.get(caseId);
  const loaded = state.hospital.value !== null;
  useEffect(() => {
    state.looks.value = [caseId];
    const escape = (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Escape" && !(event.target instanceof HTMLInputElement)) location.hash = "#/";
    };
    addEventListener("keydown", escape);
    return () => removeEventListener("keydown", escape);
  }, [caseId]);
  useEffect(() => {
    if (one) void state.readLines(caseId);
  }, [caseId, one !== undefined]);
  const back = html`<a class="button" href="#/">← ${t("patient.back")} <kbd>Esc</kbd></a>`;
  if (!one) {
    return html`<${StatusBar} socket=${state.socket} title=${t("board.title")}>${back}<//>
      <main class="nobody"><p class="nobody-words">${t(loaded ? "patient.unknown" : "board.waiting")}</p></main>`;
  }
  const card = one.card.value;
  const patient = card.patients.find((row) => (row.label ?? "") === (label ?? "")) ?? card.patients[0];
  const row = { key: caseId, one, card, patient, eta: one.eta.value };
  const band = originBand(card, patient);
  const level = levelOf(patient.severity);
  const current = card.status === "inbound" || card.status === "arrived";
  const title = headline(card, patient);
  const live = isPastDispatch(card) ? "" : "live";
  return html`<div class="patient">
    <${StatusBar} socket=${state.socket} title=${state.hospital.value?.label ?? ""}>${back}<//>
    <header class="card patient-head ${live} ${levelClass(level)} ${band.class}" data-band=${band.word}>
      <div class="patient-title"><h2 class="clip" title=${title}>${title}</h2>
        <p class="arrival-who"><${Severity} level=${level} word=${severityWord(patient.severity)} />
          <strong>${sexAndAge(patient)}</strong> <span class="clip">${nameOf(card, patient)}</span>
          <span class="muted clip">${[unitName(card), card.address].filter(Boolean).join(" · ")}</span></p></div>
      <div class="patient-seen"><${SeenBy} card=${card} />
        ${current && html`<${AcknowledgeButton} card=${card} state=${state} />`}</div>
      ${current ? html`<${EtaBlock} row=${row} state=${state} />` : html`<${Ended} card=${card} />`}
    </header>
    <section class="patient-left" aria-label=${t("atmist.label")}>
      <${BayNote} card=${card} />
      <${Atmist} row=${row} state=${state} />
      <h3>${t("timeline.label")}</h3>
      <div class="patient-timeline" tabindex="0" role="region" aria-label=${t("timeline.label")}><${Timeline} entries=${one.lines.value.map((line) => entryOf(line, card.unit_names))} /></div>
      ${current && html`<${NoteField} caseId=${caseId} state=${state} />`}
    </section>
    <section class="patient-centre">
      <${Ecg} caseId=${caseId} patient=${patient} state=${state} current=${current} live=${live} />
      <p class="information"><strong>${t("information")}</strong></p>
      <${Trends} one=${one} patient=${patient} />
    </section>
    <section class="patient-right ${live}" tabindex="0" aria-label=${t("patient.right")}>
      <${CabinVideo} caseId=${caseId} unit=${card.units[0]} name=${unitName(card)} on=${current && card.media.cabin !== "off" && card.bay?.confirmed !== false} origin=${card.media_origins.cabin} quality=${current ? card.quality : null} state=${state} />
      <${CallerVideo} card=${card} key=${caseId} />
      <${VitalTiles} one=${one} patient=${patient} staleS=${state.staleS.value.vitals} size="console"
        banded=${band.origins} />
      <${RecordState} card=${card} />
    </section></div>`;
}

/** Why nothing more comes. @param {{card: import("./state.js").Card}} props */
function Ended({ card }) {
  const words = card.status === "stood_down" ? t("diverted.title")
    : word("outcome", card.outcome ?? "");
  return html`<div class="eta"><strong class="stand-down">${words}</strong></div>`;
}

/** What is known, in the order in which it is handed over. @param {{row: import("./card_words.js").Row, state: ArrivalState}} props */
function Atmist({ row, state }) {
  const { card, patient } = row;
  const { pathway } = patient;
  const stamps = Object.entries(card.milestones).sort((a, b) => a[1] - b[1]);
  const needs = state.needs.value[pathway ?? ""] ?? [];
  const unknown = html`<span class="muted">${t("atmist.unknown")}</span>`;
  return html`<dl class="atmist">
    <dt title=${t("atmist.age")}>A</dt><dd>${sexAndAge(patient)}</dd>
    <dt title=${t("atmist.time")}>T</dt><dd>${stamps.length || card.opened_ms
      ? html`<ul>${card.opened_ms && html`<li><time>${timeOfDay(card.opened_ms)}</time> ${t("stage.called")}</li>`}
        ${stamps.map(([stage, at]) => html`<li key=${stage}><time>${timeOfDay(at)}</time> ${t(`stage.${stage}`)}</li>`)}</ul>`
      : unknown}</dd>
    <dt title=${t("atmist.mechanism")}>M</dt><dd class="words" title=${card.complaint}>${card.complaint || unknown}</dd>
    <dt title=${t("atmist.injury")}>I</dt><dd class="words" title=${patient.text}>${[pathway && t(`pathway.${pathway}`), patient.text].filter(Boolean).join(" · ") || unknown}</dd>
    <dt title=${t("atmist.signs")}>S</dt><dd class="muted">${Object.keys(patient.vitals).length ? t("atmist.signs_right") : t("atmist.no_signs")}</dd>
    <dt title=${t("atmist.treatment")}>T</dt><dd>${unknown}</dd>
    ${needs.length > 0 && html`<dt title=${t("card.needs")}>!</dt><dd>${needs.map((need) => html`<span class="need">${needWord(need)}</span> `)}</dd>`}
  </dl>`;
}

/** All leads of the newest recording, live. @param {{caseId: string, patient: Patient, state: ArrivalState, current: boolean, live: string}} props */
function Ecg({ caseId, patient, state, current, live }) {
  const id = patient.ecg?.setup.setup_id;
  const opened = useRef(/** @type {{id: string, view: any, close: () => void} | null} */ (null));
  if (id && opened.current?.id !== id) {
    opened.current?.close();
    const found = state.ecg.open(caseId, id, null);
    opened.current = found && { id, ...found };
  }
  useEffect(() => () => {
    opened.current?.close();
    opened.current = null;
  }, []);
  const view = opened.current?.view;
  if (!id || !view) return html`<div class="no-ecg-page muted">${t("ecg_card.none")}</div>`;
  const { feed } = view;
  const ecg = patient.ecg;
  return html`<div class="patient-ecg ${live}">
    <p class="ecg-origin small"><strong>${t("ecg_page.title", { leads: feed.strip.leads.length, rate: feed.strip.rateHz })}</strong>
      <span class="muted">${[ecg?.device, ecg?.origin !== "live" && t(`origin.${ecg?.origin}`),
        ecg?.unassigned && t("vitals.unassigned"), (ecg?.ended || !current) && t("ecg_card.ended"),
        feed.leftOut.length && t("ecg_page.left_out", { leads: feed.leftOut.join(", ") })].filter(Boolean).join(" · ")}</span></p>
    <${Strip} strip=${feed.strip} /></div>`;
}

/** @param {{one: Case, patient: Patient}} props */
function Trends({ one, patient }) {
  void one.card.value;
  const series = [
    { label: "HR", unit: "/min", codes: ["heart_rate_per_min", "pulse_rate_per_min"] },
    { label: "RR", unit: "/min", codes: ["respiratory_rate_per_min"] },
    { label: "SpO₂", unit: "%", codes: ["spo2_percent"] },
  ].flatMap(({ label, unit, codes }) => {
    const code = newestOf(patient, codes);
    return code ? [{ label, unit, points: one.curve(patient, code) }] : [];
  });
  const pressure = ["systolic", "diastolic"].flatMap((part) => {
    const code = newestOf(patient, [`abp_${part}_mmhg`, `nibp_${part}_mmhg`]);
    return code ? [{ label: t(`bp.${part}`), unit: "mmHg", points: one.curve(patient, code) }] : [];
  });
  if (!series.length && !pressure.length) return html`<p class="muted no-trends">${t("trends.none")}</p>`;
  return html`<div class="trends">${[series, pressure].filter((part) => part.length).map((part) => html`<${TrendChart}
    key=${part.map((one) => one.label).join()} series=${part} height=${innerHeight < 900 ? 110 : 150} />`)}
    ${patient.late && html`<p class="muted small">${t("late.values", { from: timeOfDay(patient.late.from_ms),
      until: timeOfDay(patient.late.until_ms), late: durationInWords(patient.late.most_ms) })}</p>`}</div>`;
}

/** A sentence for the case's timeline, with its true time. @param {{caseId: string, state: ArrivalState}} props */
function NoteField({ caseId, state }) {
  const [text, setText] = useState("");
  const [sending, setSending] = useState(false);
  const send = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!text.trim()) return;
    setSending(true);
    const done = await state.act({ action: "note", case: caseId, text });
    setSending(false);
    if (done) setText("");
  };
  return html`<form class="note-field" onSubmit=${send}>
    <input type="text" maxlength="4000" value=${text} placeholder=${t("note.placeholder")} aria-label=${t("note.placeholder")}
      onInput=${(/** @type {any} */ event) => setText(event.target.value)} />
    <button disabled=${sending || !text.trim()}>${t(sending ? "note.sending" : "note.send")}</button></form>`;
}

/** How complete the record is, and whether it is the hub's. @param {{card: import("./state.js").Card}} props */
function RecordState({ card }) {
  const { proven, last, missing } = card.chain;
  const failed = Object.entries(card.failed_sensors);
  void now.value;
  return html`<div class="record-state small"><${ChainWarning} card=${card} />
    <p class="muted">${card.bay && !card.bay.confirmed ? t("bay.record", { waiting: card.bay.waiting }) : missing ? t("chain.missing", { missing, last }) : t("chain.proven", { proven })}</p>
    ${failed.map(([sensor, reason]) => html`<p key=${sensor}>${t("line.sensor_failed", { sensor, reason })}</p>`)}</div>`;
}
