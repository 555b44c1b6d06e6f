/** What is asked before a patient is sent from an incident, and before an incident is closed. */
import { html } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";
import { reasonOf } from "./words.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Case} Case */

/** @param {ConsoleState} state @param {Case} one @param {string} code */
export function askTransport(state, one, code) {
  const plan = state.suggestions.value?.incident;
  const patient = state.detail.value?.incident?.patients.find((each) => each.code === code);
  const hospital = state.transport.value.hospital || plan?.places[code]?.hospital || "";
  const unit = state.transport.value.unit || plan?.units[0]?.name || "";
  const room = plan?.rooms.find((each) => each.name === hospital);
  const left = patient?.tag === "immediate" ? room?.resus_bays : room?.beds;
  const other = state.cases.value.get(state.units.value.get(unit)?.case ?? "") ?? null;
  const why = [hospital && !left && t("mci.full", { hospital: room?.label ?? hospital }),
    other && t("ask.unit_busy", { unit: state.units.value.get(unit)?.label ?? unit, address: other.address }),
    patient?.tag === "expectant" && t("mci.expectant_sent")].filter(Boolean);
  const reason = state.reason.value.trim();
  const label = state.units.value.get(unit)?.label ?? unit;
  const found = plan?.units.find((each) => each.name === unit);
  return {
    title: t("mci.send_title", { code }),
    consequences: [unit && hospital ? t(one.drill ? "mci.send_told_drill" : "mci.send_told", { unit: label, code, hospital: room?.label ?? hospital }) : t("mci.choose_both"),
      .../** @type {string[]} */ (why)],
    why: found ? reasonOf(found) : null,
    extra: html`<div class="fields"><${Choice} state=${state} kind="hospital" chosen=${hospital}
        all=${(plan?.rooms ?? []).map((each) => [each.name, `${each.label}: ${each.diversion ? t("mci.diversion") : t("mci.room", { bays: each.resus_bays, beds: each.beds })}`])} />
      <${Choice} state=${state} kind="unit" chosen=${unit} all=${units(state, one)} /></div>
      ${(why.length > 0 || reason) && html`<label class="reason">${t("ask.why_override")}<input name="reason" maxlength="4000" autocomplete="off"
        value=${state.reason.value} onInput=${(/** @type {any} */ event) => { state.reason.value = event.target.value; }} /></label>`}`,
    ready: unit !== "" && hospital !== "" && (why.length === 0 || reason !== "") && !state.isSending("transport_patient", one.id),
    button: t("mci.send_do", { code }),
    action: {
      action: "transport_patient", case: one.id, code, unit, hospital, ...(reason && { reason, override: why.length > 0 }),
    },
  };
}

/** @param {ConsoleState} state @param {Case} one */
export function askCloseIncident(state, one) {
  const here = Object.values(one.incident?.here ?? {}).reduce((total, count) => total + count, 0);
  const reason = state.reason.value.trim();
  return {
    title: t("mci.close_title"),
    consequences: [here ? t("mci.close_with", { count: here }) : t("mci.close_told")],
    why: null,
    extra: html`<label class="reason">${t(here ? "ask.why_override" : "ask.why")}<input name="reason" maxlength="4000" autocomplete="off"
      value=${state.reason.value} onInput=${(/** @type {any} */ event) => { state.reason.value = event.target.value; }} /></label>`,
    ready: (here === 0 || reason !== "") && !state.isSending("close_incident", one.id),
    button: t("mci.close"),
    action: { action: "close_incident", case: one.id, ...(reason && { reason }) },
  };
}

/** The proposed ones first, then all. @param {ConsoleState} state @param {Case} one @returns {string[][]} */
function units(state, one) {
  const proposed = (state.suggestions.value?.incident?.units ?? []).map((unit) => unit.name);
  const all = [...state.units.value.values()].filter((unit) => unit.drill === one.drill);
  const rank = (/** @type {string} */ name) => (proposed.includes(name) ? proposed.indexOf(name) : proposed.length);
  return all.sort((a, b) => rank(a.name) - rank(b.name))
    .map((unit) => [unit.name, unit.label + (unit.case ? ` (${t("units.on", { address: state.cases.value.get(unit.case)?.address ?? "?" })})` : "")]);
}

/** @param {{state: ConsoleState, kind: "hospital" | "unit", chosen: string, all: string[][]}} props */
function Choice({ state, kind, chosen, all }) {
  return html`<label>${t(`party.${kind}`)}<select name=${`transport_${kind}`} value=${chosen}
    onChange=${(/** @type {any} */ event) => { state.transport.value = { ...state.transport.value, [kind]: event.target.value }; }}>
    ${!chosen && html`<option value="">…</option>`}
    ${all.map(([name, label]) => html`<option key=${name} value=${name}>${label}</option>`)}</select></label>`;
}
