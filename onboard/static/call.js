/** The call: where to, what for, to which hospital; the run's beginning and end; the time stamps. */
import { html, useState } from "/static/shared/view.js";
import { durationInWords, now, timeOfDay } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { NeedsMark } from "/static/shared/needs.js";
import { Severity, levelOf } from "/static/shared/severity.js";
import { band } from "/static/shared/value_tile.js";
import { BayLink } from "./bay.js";
import { CallerVideo } from "./caller_video.js";
import { TimeToGo } from "./navigate.js";
import { Stamps } from "./stamps.js";
import { silentSince } from "./strip.js";
import { CaseTimeline } from "./timeline.js";
import { aboutAge } from "./words.js";

/** @typedef {import("./state.js").TabletState} TabletState */
/** @typedef {import("./state.js").Case} Case */

/** How a run can end; the first is the usual way. */
const ENDINGS = ["handed_over", "treated", "refused", "not_found", "died", "cancelled"];

/** @param {{state: TabletState}} props */
export function CallView({ state }) {
  const open = state.case.value;
  if (!open) return html`<${NoCase} state=${state} />`;
  return html`<div class="columns">
    <div class="column wide"><${CaseCard} open=${open} state=${state} /><${CallerVideo} open=${open} key=${open.id} />
      <section class="card fill"><h2>${t("call.timeline")}</h2><${CaseTimeline} open=${open} /></section></div>
    <div class="column"><${RunCard} state=${state} /><${BayLink} state=${state} /><${Stamps} state=${state} open=${open} /></div>
  </div>`;
}

/** @param {{state: TabletState}} props */
function NoCase({ state }) {
  const link = state.link.value;
  return html`<div class="empty"><h2>${t("call.none")}</h2>
    <p class="muted">${t(!link?.connected ? "call.none_lost"
      : silentSince(link) === null ? "call.none_ready" : "call.none_silent")}</p>
    ${state.can("begin") && html`<button class="run-button" onClick=${() => state.act({ action: "start_run", own: true })}>
      ${t("run.begin_own")}</button>`}</div>`;
}

/** @param {{open: Case, state: TabletState}} props */
function CaseCard({ open, state }) {
  const level = levelOf(open.severity);
  const mark = band({ synthetic: open.synthetic, drill: open.drill });
  return html`<article class="card case ${level === "none" ? "" : level} ${mark.class}" data-band=${mark.word}>
    <${Standing} open=${open} state=${state} />
    <div class="case-head"><${Severity} level=${level} word=${t(`case.${open.severity ?? "unknown"}`)} />
      <strong class="complaint" title=${open.complaint}>${open.complaint ?? ""}</strong></div>
    <h2 class="address" title=${open.address}>${open.address || t("call.no_address")}</h2>
    <dl class="facts">
      <div><dt>${t("call.patient")}</dt><dd>${patientWords(open)}</dd></div>
      ${open.needs.length > 0 && html`<div><dt>${t("call.talk")}</dt><dd><${NeedsMark} needs=${open.needs} /></dd></div>`}
      ${open.caller && html`<div><dt>${t("call.caller")}</dt><dd class="clamp" title=${open.caller}>${open.caller}</dd></div>`}
      <div><dt>${t("call.hospital")}</dt><dd>${open.hospital?.name ?? t("call.not_chosen")}
        ${open.hospital?.previous && html` <span class="muted small">
          ${t("call.changed", { why: open.hospital.reason ?? "–" })}</span>`}</dd></div>
      ${state.arrival.value && html`<div><dt>${t("call.eta")}</dt>
        <dd><${TimeToGo} state=${state} arrival=${state.arrival.value} /></dd></div>`}
    </dl></article>`;
}

/** @param {Case} open */
export function patientWords(open) {
  const alert = open.alerts.at(-1);
  const known = alert ?? open;
  const who = aboutAge(known.sex, known.age_years, alert ? alert.age_is_estimate ?? true : false);
  return [open.alias && `“${open.alias}”`, who].filter(Boolean).join(" · ");
}

/** The hub's word about a case that is no longer as it was. @param {{open: Case, state: TabletState}} props */
function Standing({ open, state }) {
  const text = open.closed ? t("call.closed", { how: t(`ending.${open.closed}`) })
    : !open.ours ? t("call.released") : "";
  const next = state.run.value.waiting[0];
  return html`${text && html`<p class="standing" role="alert">${text}</p>`}
    ${next && html`<p class="standing" role="alert">${t("call.next", { address: next.address ?? "?" })}</p>`}`;
}

/** @param {{state: TabletState}} props */
function RunCard({ state }) {
  const [ending, setEnding] = useState(false);
  const run = state.run.value.state;
  const started = state.case.value?.timeline.findLast((line) => line.kind === "run_started");
  if (run === "assigned") {
    return html`<button class="main run-button" onClick=${() => state.act({ action: "start_run" })}>
      ${t("run.start")}</button>`;
  }
  if (run === "ended") {
    return html`<div class="card run-row"><strong>${t("run.ended")}</strong>
      <button onClick=${() => state.act({ action: "start_run" })}>${t("run.continue")}</button>
      <button onClick=${() => state.act({ action: "start_run", own: true })}>${t("run.begin_own")}</button></div>`;
  }
  const end = async (/** @type {string} */ reason) => {
    if (await state.act({ action: "end_run", reason })) setEnding(false);
  };
  return html`<div class="card">
    <div class="run-row"><strong>${started
      ? t("run.lasting", { lasting: durationInWords(now.value - started.at_ms), time: timeOfDay(started.at_ms) })
      : t("run.running")}</strong>
      <button aria-expanded=${ending} onClick=${() => setEnding(!ending)}>
        ${t(ending ? "run.not_yet" : "run.end")}</button></div>
    ${ending && html`<div class="choices" role="group" aria-label=${t("run.how")}>
      ${ENDINGS.map((reason) => html`<button key=${reason} onClick=${() => end(reason)}>
        ${t(`ending.${reason}`)}</button>`)}</div>`}
  </div>`;
}
