/**
 * The pre-alert in three taps, all on one screen so that nothing moves: pathway, age and sex, send.
 * Sending is the one confirm: its button says whom it tells. Sent again, it replaces the one before.
 */
import { html, useState } from "/static/shared/view.js";
import { timeOfDay } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { Severity, levelOf } from "/static/shared/severity.js";
import { Way, wishOf } from "./strip.js";
import { aboutAge } from "./words.js";

/** @typedef {import("./state.js").TabletState} TabletState */
/** @typedef {{pathway: string | null, sex: string | null, years: number | null, severity: string | null}} Draft */

const PATHWAYS = ["stemi", "stroke", "trauma", "cardiac_arrest", "sepsis", "obstetric", "paediatric", "other"];
/** What a pathway counts as unless the crew says otherwise; as in onboard/actions.py. */
const YELLOW = ["obstetric", "paediatric", "other"];
const SEXES = ["male", "female", "unknown"];
/** The middle of each band, years; null is "no idea". */
const AGES = [0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, null];
/** @type {Draft} */
const NOTHING = { pathway: null, sex: null, years: null, severity: null };

/** @param {{state: TabletState}} props */
export function AlertView({ state }) {
  const [draft, setDraft] = useState(NOTHING);
  const [again, setAgain] = useState(false);
  const alert = state.alert.value;
  if (!state.can("alert")) return html`<${NotNow} state=${state} />`;
  if (alert && !again) return html`<${Sent} alert=${alert} wish=${state.case.value && wishOf(state.case.value)} change=${() => {
    setDraft({ pathway: alert.pathway, sex: alert.sex ?? "unknown", years: alert.age_years ?? null,
      severity: alert.severity });
    setAgain(true);
  }} />`;
  const send = async () => {
    const { pathway, sex, years } = draft;
    if (await state.act({ action: "pre_alert", pathway, sex: sex ?? "unknown", age_years: years,
      severity: severityOf(draft) })) {
      setDraft(NOTHING);
      setAgain(false);
    }
  };
  return html`<div class="alert-taps">
    <${Pathways} draft=${draft} choose=${(/** @type {string} */ pathway) =>
      setDraft({ ...draft, pathway, severity: null })} />
    <${Ages} draft=${draft} choose=${(/** @type {string} */ sex, /** @type {number | null} */ years) =>
      setDraft({ ...draft, sex, years })} />
    <${Send} state=${state} draft=${draft} send=${send}
      rate=${(/** @type {string} */ severity) => setDraft({ ...draft, severity })}
      leave=${again ? () => setAgain(false) : null} /></div>`;
}

/** @param {Draft} draft */
function severityOf({ severity, pathway }) {
  return severity ?? (pathway && YELLOW.includes(pathway) ? "yellow" : "red");
}

/** @param {{state: TabletState}} props */
function NotNow({ state }) {
  const assigned = state.run.value.state === "assigned";
  return html`<div class="empty"><h2>${t("alert.not_now")}</h2>
    <p class="muted">${t(assigned ? "alert.start_first" : "alert.no_run")}</p>
    ${assigned && html`<button class="main run-button" onClick=${() => state.act({ action: "start_run" })}>
      ${t("run.start")}</button>`}</div>`;
}

/** @param {{draft: Draft, choose: (pathway: string) => void}} props */
function Pathways({ draft, choose }) {
  return html`<section class="card tap"><h2><span class="tap-number">1</span>${t("alert.pathway")}</h2>
    <div class="pathways">${PATHWAYS.map((name) => html`<button key=${name}
      aria-pressed=${draft.pathway === name} onClick=${() => choose(name)}>${t(`pathway.${name}`)}</button>`)}
    </div></section>`;
}

/** @param {{draft: Draft, choose: (sex: string, years: number | null) => void}} props */
function Ages({ draft, choose }) {
  return html`<section class="card tap"><h2><span class="tap-number">2</span>${t("alert.who")}</h2>
    ${SEXES.map((sex) => html`<div key=${sex} class="ages" role="group" aria-label=${t(`sex.${sex}`)}>
      <h3>${t(`sex.${sex}`)}</h3>
      <div class="age-grid">${AGES.map((years) => html`<button key=${years}
          aria-pressed=${draft.sex === sex && draft.years === years}
          aria-label=${aboutAge(sex, years)} onClick=${() => choose(sex, years)}>
        ${years === null ? "?" : years === 0 ? "<1" : years === 90 ? "90+" : years}</button>`)}</div></div>`)}
  </section>`;
}

/**
 * @param {{state: TabletState, draft: Draft, send: () => void, rate: (severity: string) => void,
 *   leave: (() => void) | null}} props
 */
function Send({ state, draft, send, rate, leave }) {
  const hospital = state.case.value?.hospital?.name;
  const severity = severityOf(draft);
  return html`<section class="card tap"><h2><span class="tap-number">3</span>${t("alert.send_head")}</h2>
    <div class="alert-summary">
      <strong class="alert-pathway">${draft.pathway ? t(`pathway.${draft.pathway}`) : t("alert.no_pathway")}</strong>
      <span>${draft.sex ? aboutAge(draft.sex, draft.years) : t("alert.no_who")}</span></div>
    <div class="severities" role="group" aria-label=${t("alert.severity")}>
      ${["red", "yellow", "green"].map((name) => html`<button key=${name} disabled=${!draft.pathway}
        aria-pressed=${draft.pathway !== null && severity === name} onClick=${() => rate(name)}>
        <${Severity} level=${levelOf(name)} word=${t(`case.${name}`)} /></button>`)}</div>
    <div class="grow"></div>
    ${!hospital && html`<p class="muted">${t("alert.no_hospital")}</p>`}
    <button class="main send" disabled=${!draft.pathway} onClick=${send}>
      ${hospital ? t("alert.send_to", { hospital }) : t("alert.send")}</button>
    ${leave && html`<button onClick=${leave}>${t("alert.leave")}</button>`}</section>`;
}

/** @param {{alert: import("./state.js").Alert, wish: string | undefined, change: () => void}} props */
function Sent({ alert, wish, change }) {
  const level = levelOf(alert.severity);
  return html`<div class="sent"><article class="card ${level}">
    <div class="case-head"><${Severity} level=${level} word=${t(`case.${alert.severity}`)} />
      <h2 class="alert-pathway">${t(`pathway.${alert.pathway}`)}</h2></div>
    <p class="sent-who">${aboutAge(alert.sex, alert.age_years, alert.age_is_estimate ?? true)}</p>
    <p class="sent-way"><${Way} of=${alert} /></p>
    ${wish && html`<p class="sent-who sent-wish" title=${wish}>${t("strip.wants", { text: wish })}</p>`}
    <p class="muted">${t("alert.sent_at", { time: timeOfDay(alert.at_ms) })}</p>
    <button class="again" onClick=${change}>${t("alert.change")}</button></article>
    <${Steps} alert=${alert} /></div>`;
}

/** The three stations of the alert in words. @param {{alert: import("./state.js").Alert}} props */
function Steps({ alert }) {
  const order = ["made", "delivered", "seen"];
  const reached = order.indexOf(alert.delivery);
  return html`<ol class="steps">${order.map((name, place) => html`<li key=${name}
      class=${place <= reached ? "reached" : ""}><span aria-hidden="true">${["○", "◐", "●"][place]}</span>
    ${t(`alert.step.${name}`)}</li>`)}</ol>`;
}
