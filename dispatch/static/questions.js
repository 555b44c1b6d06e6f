/**
 * What leaves the building is asked once, with the consequence in words: send a unit, choose or change
 * the hospital, end a case. In the case's column, not over it: nothing is hidden while it is asked.
 */
import { html, useLayoutEffect, useRef } from "/static/shared/view.js";
import { hasText, t } from "/static/shared/i18n.js";
import { word } from "/static/shared/words.js";
import { Clamped } from "./clamp.js";
import { askCloseIncident, askTransport } from "./incident_questions.js";
import { askCancelPartner, askPartner, standing } from "./partner_form.js";
import { askNeighbour } from "./foreign.js";
import { reasonOf } from "./words.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Case} Case */
const OUTCOMES = ["handed_over", "treated", "refused", "not_found", "died", "cancelled"];

/** @param {{state: ConsoleState}} props */
export function QuestionBox({ state }) {
  const question = state.question.value;
  const one = state.case.value;
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => {
    box.current?.scrollIntoView({ block: "nearest" });
    if (question?.kind === "close" && one && !outcomeOf(state, one)) { // what has to be chosen is chosen by its first letter
      /** @type {HTMLElement | null} */ (box.current?.querySelector("[name=outcome]"))?.focus();
      return;
    }
    // Enter is the question's answer: no button elsewhere may take it. What is written in stays so.
    if (question && document.activeElement instanceof HTMLButtonElement && !box.current?.contains(document.activeElement)) box.current?.focus();
  }, [question?.kind, question?.name]);
  if (!question || !one) return null;
  const asked = { unit: askUnit, hospital: askHospital, close: askClose, unlink: askUnlink,
    partner: askPartner, cancel_partner: askCancelPartner, transport: askTransport, close_incident: askCloseIncident,
    ask_unit: askNeighbour, send_link: askLink }[question.kind](state, one, question.name);
  const confirm = () => asked.ready && state.act(asked.action);
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    if (event.target instanceof HTMLInputElement) confirm();
    else if (event.target instanceof HTMLSelectElement && question?.kind === "close") {
      event.preventDefault(); // it opens no list: that is the space key's
      confirm();
    }
  };
  return html`<div class="question card" role="group" aria-label=${asked.title} tabindex="-1" ref=${box} onKeyDown=${onKeyDown}>
    <h3>${asked.title}</h3>
    ${asked.consequences.map((one) => html`<p key=${one}><${Clamped} text=${one} /></p>`)}
    ${asked.why && html`<p class="muted small">${asked.why}</p>`}
    ${asked.extra}
    <div class="actions">
      <button class="main" data-confirm disabled=${!asked.ready} onClick=${confirm}>${asked.button} <kbd>⏎</kbd></button>
      <button onClick=${() => { state.question.value = null; }}>${t("form.cancel")} <kbd>Esc</kbd></button>
    </div>
  </div>`;
}

/** @param {ConsoleState} state @param {Case} one @param {string} name */
function askUnit(state, one, name) {
  const unit = state.units.value.get(name);
  const label = unit?.label ?? name;
  const other = unit?.case && unit.case !== one.id ? state.cases.value.get(unit.case) : null;
  const replaced = one.unit && one.unit !== name && !one.run_ended_ms ? one.unit : null;
  const reason = state.reason.value.trim();
  const isNowhere = !one.address && !one.position && !one.place;
  const parts = [isNowhere ? t("ask.unit_nowhere", { unit: label }) : t("ask.unit", { unit: label, address: one.address || t("ask.unit_place") })];
  if (replaced) parts.push(t("ask.unit_replaces", { unit: state.units.value.get(replaced)?.label ?? replaced }));
  if (other) parts.push(t("ask.unit_busy", { unit: label, address: other.address }));
  const found = state.suggestions.value?.units.find((suggestion) => suggestion.name === name);
  const best = state.suggestions.value?.units[0];
  const overridden = best && best.name !== name ? best : null;
  if (overridden) parts.push(t("ask.unit_overrides", { best: overridden.label, why: reasonOf(overridden) }));
  return {
    title: t("ask.unit_title", { unit: label }),
    consequences: parts,
    why: found ? reasonOf(found) : null,
    extra: other || overridden ? html`<${Reason} state=${state} label=${t("ask.why_override")} />` : null,
    ready: (!(other || overridden) || reason !== "") && !state.isSending("assign_unit", one.id),
    button: t("ask.unit_do", { unit: label }),
    action: {
      action: "assign_unit", case: one.id, unit: name,
      ...(replaced && { replaces: replaced }), ...(other && { override: true }), ...(reason && { reason }),
      ...(best && { recommended: best.name }),
    },
  };
}

/** @param {ConsoleState} state @param {Case} one @param {string} name */
function askHospital(state, one, name) {
  const label = state.hospitals.value.find((hospital) => hospital.name === name)?.label ?? name;
  const reason = state.reason.value.trim();
  const told = one.hospital
    ? t("ask.hospital_change", { hospital: label, previous: one.hospital_name })
    : t("ask.hospital", { hospital: label });
  const found = state.suggestions.value?.hospitals.find((suggestion) => suggestion.name === name);
  return {
    title: t(one.hospital ? "ask.hospital_change_title" : "ask.hospital_title", { hospital: label }),
    consequences: [told],
    why: found ? reasonOf(found) : null,
    extra: one.hospital ? html`<${Reason} state=${state} label=${t("ask.why")} />` : null,
    ready: !state.isSending("choose_hospital", one.id),
    button: t("ask.hospital_do", { hospital: label }),
    action: {
      action: "choose_hospital", case: one.id, hospital: name, previous: one.hospital ?? "", ...(reason && { reason }),
    },
  };
}

/** How it ended: what a person chose, else what the record has; else nothing yet. @param {ConsoleState} state @param {Case} one */
function outcomeOf(state, one) {
  return state.outcome.value || (one.stage === "handed_over" ? "handed_over" : "");
}

/** @param {ConsoleState} state @param {Case} one */
function askClose(state, one) {
  const text = state.reason.value.trim();
  const outcome = outcomeOf(state, one);
  return {
    title: t("ask.close_title"),
    consequences: [one.unit && !one.run_ended_ms
      ? t("ask.close_with_unit", { unit: state.units.value.get(one.unit)?.label ?? one.unit }) : t("ask.close"),
    ...standing(state).map((partner) => t("ask.close_partners", { partner }))],
    why: null,
    extra: html`<div class="fields"><label>${t("ask.outcome")}<select name="outcome" data-enter=${outcome ? t("ask.close_do") : t("ask.outcome_choose")} value=${outcome}
        onChange=${(/** @type {any} */ event) => { state.outcome.value = event.target.value; }}>
      ${!outcome && html`<option value="">${t("ask.outcome_choose")}</option>`}
      ${OUTCOMES.map((one) => html`<option value=${one}>${word("outcome", one)}</option>`)}</select></label>
      <${Reason} state=${state} label=${t("ask.close_text")} /></div>`,
    ready: outcome !== "" && !state.isSending("close_case", one.id),
    button: t("ask.close_do"),
    action: { action: "close_case", case: one.id, outcome, ...(text && { text }) },
  };
}

/** A message makes a telephone ring and light up: that may be the wrong moment. @param {ConsoleState} state @param {Case} one */
function askLink(state, one) {
  const number = one.call?.number ?? "";
  return {
    title: t("ask.link_title", { number }),
    consequences: [t("ask.link")],
    why: null,
    extra: null,
    ready: !state.isSending("send_link", one.id),
    button: t("ask.link_do"),
    action: { action: "send_link", case: one.id },
  };
}

/** @param {ConsoleState} state @param {Case} one */
function askUnlink(state, one) {
  const reason = state.reason.value.trim();
  return {
    title: t("ask.unlink_title"),
    consequences: [t("ask.unlink")],
    why: null,
    extra: html`<${Reason} state=${state} label=${t("ask.why_override")} />`,
    ready: reason !== "" && !state.isSending("unlink_case", one.id),
    button: t("ask.unlink_do"),
    action: { action: "unlink_case", case: one.id, reason },
  };
}

/** @param {{state: ConsoleState, label: string}} props */
export function Reason({ state, label }) {
  return html`<label class="reason">${label}<input name="reason" maxlength="4000" autocomplete="off"
    value=${state.reason.value} onInput=${(/** @type {any} */ event) => { state.reason.value = event.target.value; }} /></label>`;
}

/** What the hub did not do, and why. @param {{state: ConsoleState}} props */
export function Problem({ state }) {
  const problem = state.problem.value;
  if (!problem) return null;
  const conflict = problem.conflict ?? {};
  const key = `conflict.${conflict.kind}`;
  const other = conflict.case && conflict.case !== state.selected.value ? state.cases.value.get(conflict.case) : null;
  return html`<div class="problem" role="alert"><span class="grow"><${Clamped} text=${hasText(key) ? t(key, conflict) : problem.text} /></span>
    ${other && html`<button onClick=${() => { state.select(other.id); }}>${t("problem.show", { alias: other.alias })}</button>`}
    <button onClick=${() => { state.problem.value = null; }}>${t("problem.seen")}</button></div>`;
}
