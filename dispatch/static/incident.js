/** A mass-casualty incident: declared by a key, its patients in order, who goes next, where and with whom. */
import { html, signal } from "/static/shared/view.js";
import { ageInWords, countdown, now } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { word } from "/static/shared/words.js";
import { TAGS, TagMark } from "./tag_mark.js";
import { TriageForm, entry } from "./triage.js";
import { reasonOf } from "./words.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Case} Case */
/** @typedef {import("./triage.js").Tag} Tag */
/** @typedef {{code: string, tag: Tag, before: Tag[], where: string, area: string, since_ms: number, tagged_ms: number, by: string,
 *   age_years: number | null, is_child: boolean, needs: string[], merged: string[], own: string | null, unit: string | null,
 *   hospital: string, stage: string | null}} Patient */
/** @typedef {{kind: string, estimated: number | null, declared_ms: number, closed_ms: number | null,
 *   counts: Record<Tag, number>, here: Record<Tag, number>}} Incident */
/** @typedef {Incident & {patients: Patient[]}} WholeIncident */
/** @typedef {{name: string, label: string, resus_bays: number, beds: number, taken: number, diversion: boolean, stated: string,
 *   stated_ms: number | null}} Room */
/** @typedef {{order: string[], places: Record<string, {hospital: string, label: string, drive_s: number, lacks: string[]}>,
 *   unplaced: string[], by_road: boolean, rooms: Room[], next: string | null, units: import("./state.js").Suggestion[]}} Plan */

const KINDS = ["traffic", "rail", "fire", "explosion", "collapse", "chemical", "violence", "crowd", "other"];
const HERE = new Set(["scene", "treatment"]);

/** What is being declared, and on which case the form is open. */
export const declaring = { case: signal(/** @type {string | null} */ (null)), kind: signal("traffic"), estimated: signal("") };

/** @param {{one: Case, state: ConsoleState}} props */
export function IncidentCard({ one, state }) {
  if (one.patient_of) return html`<${PatientOf} of=${one.patient_of} state=${state} />`;
  if (!one.incident) {
    if (one.closed_ms || one.linked_to || one.hospital) return null;
    return declaring.case.value === one.id ? html`<${Declare} one=${one} state=${state} />`
      : html`<p class="declare-line"><button class="small" data-key="incident" onClick=${() => { declaring.case.value = one.id; }}>
          ${t("mci.declare")} <kbd>M</kbd></button></p>`;
  }
  const detail = state.detail.value;
  const whole = detail?.case === one.id ? detail.incident : null;
  const plan = state.suggestions.value?.incident ?? null;
  const patients = whole?.patients ?? [];
  const here = patients.filter((patient) => HERE.has(patient.where));
  const gone = patients.filter((patient) => !HERE.has(patient.where));
  const isOpen = !one.incident.closed_ms;
  return html`<section class="incident card ${one.drill ? "exercise" : ""}" aria-label=${t("mci.label")}>
    <header class="incident-head"><h3 class="grow">${t("mci.title", { kind: word("mci.kind", one.incident.kind) })}${one.drill && html` · <strong>${t("origin.drill")}</strong>`}</h3>
      <span>${t("mci.tagged", { count: sum(one.incident.counts), estimated: one.incident.estimated ?? "?" })}</span>
      ${isOpen ? html`<button class="small" onClick=${() => ask(state, "close_incident", one.id)}>${t("mci.close")}</button>` : html`<strong>${t("mci.closed")}</strong>`}</header>
    <p class="tag-counts">${TAGS.map((tag) => html`<${TagMark} key=${tag} tag=${tag} count=${one.incident?.counts[tag] ?? 0} />`)}
      <span class="muted">${t("mci.still_here", { count: sum(one.incident.here) })}</span></p>
    ${isOpen && html`<${TriageForm} state=${state} one=${one} patients=${patients} />`}
    ${isOpen && plan && html`<${Next} plan=${plan} patients=${patients} state=${state} />`}
    ${plan && html`<${Rooms} rooms=${plan.rooms} />`}
    ${here.length > 0 && html`<h4>${t("mci.waiting", { count: here.length })}</h4>
      <ol class="patients">${here.map((patient) => html`<${Row} key=${patient.code} patient=${patient} plan=${plan} state=${state} one=${one} />`)}</ol>`}
    ${gone.length > 0 && html`<details class="gone"><summary>${t("mci.gone", { count: gone.length })}</summary>
      <ol class="patients">${gone.map((patient) => html`<${Row} key=${patient.code} patient=${patient} plan=${plan} state=${state} one=${one} />`)}</ol></details>`}
  </section>`;
}

/** @param {{of: {case: string, code: string, tag: Tag}, state: ConsoleState}} props */
function PatientOf({ of, state }) {
  const main = state.cases.value.get(of.case);
  return html`<section class="incident card"><p><${TagMark} tag=${of.tag} /> <strong>${of.code}</strong>
    ${t("mci.patient_of", { where: main?.address ?? "?" })} ${main && html`<button class="small" onClick=${() => state.select(main.id)}>${t("same.show")}</button>`}</p></section>`;
}

/** @param {{one: Case, state: ConsoleState}} props */
function Declare({ one, state }) {
  const estimated = declaring.estimated.value.replace(/\D/g, "");
  const declare = () => state.act({
    action: "declare_incident", case: one.id, kind: declaring.kind.value, drill: one.drill, ...(estimated && { estimated: Number(estimated) }),
  });
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && !event.isComposing) declare();
    else if (event.key === "Escape") declaring.case.value = null;
  };
  return html`<section class="incident card ${one.drill ? "exercise" : ""}" aria-label=${t("mci.label")}><h3>${t("mci.declare_title")}${one.drill && html` · ${t("origin.drill")}`}</h3>
    <div class="triage-head" onKeyDown=${onKeyDown}>
      <label class="grow">${t("mci.what")}<select name="incident_kind" ref=${focusAtOnce} value=${declaring.kind.value}
        onChange=${(/** @type {any} */ event) => { declaring.kind.value = event.target.value; }}>
        ${KINDS.map((kind) => html`<option key=${kind} value=${kind}>${t(`mci.kind.${kind}`)}</option>`)}</select></label>
      <label>${t("mci.estimated")}<input name="estimated" inputmode="numeric" maxlength="5" size="5" autocomplete="off" value=${declaring.estimated.value}
        onInput=${(/** @type {any} */ event) => { declaring.estimated.value = event.target.value; }} /></label></div>
    <div class="actions"><button class="main" disabled=${state.isSending("declare_incident", one.id)} onClick=${declare}>${t("mci.declare_do")} <kbd>⏎</kbd></button>
      <button onClick=${() => { declaring.case.value = null; }}>${t("form.cancel")} <kbd>Esc</kbd></button></div></section>`;
}

/** Who goes next, with the reason in a line; and for whom there is no room. @param {{plan: Plan, patients: Patient[], state: ConsoleState}} props */
function Next({ plan, patients, state }) {
  const next = patients.find((patient) => patient.code === plan.next);
  const place = next && plan.places[next.code];
  const unit = plan.units[0];
  return html`<div class="next">
    ${next && place ? html`<p class="next-line"><span class="grow">${t("mci.next")} <${TagMark} tag=${next.tag} /> <strong>${next.code}</strong>
        ${" → "}<strong>${place.label}</strong> <span class="small muted">${placeWords(plan, place)}</span><br />
        ${unit ? html`<strong>${unit.label}</strong> <span class="small muted">${reasonOf(unit)}</span>` : html`<strong>${t("party.none_free")}</strong>`}</span>
      <button class="main" onClick=${() => ask(state, "transport", next.code)}>${t("mci.send")} <kbd>G</kbd></button></p>`
      : html`<p class="muted">${t(plan.unplaced.length ? "mci.none_fits" : "mci.none_waits")}</p>`}
    ${plan.unplaced.length > 0 && html`<p class="warn">${t("mci.unplaced", { count: plan.unplaced.length, codes: plan.unplaced.slice(0, 6).join(", ") })}</p>`}
  </div>`;
}

/** What each hospital has left, and what that rests on. @param {{rooms: Room[]}} props */
function Rooms({ rooms }) {
  return html`<ul class="rooms small">${rooms.map((room) => html`<li key=${room.name}><strong class="clip">${room.label}</strong>
    <span class="number">${room.diversion ? t("mci.diversion") : t("mci.room", { bays: room.resus_bays, beds: room.beds })}</span>
    <span class="muted">${room.stated === "never" || room.stated_ms === null ? t("mci.unstated")
      : t(room.stated === "old" ? "mci.stated_old" : "mci.stated", { age: ageInWords(now.value - room.stated_ms) })}</span></li>`)}</ul>`;
}

/** @param {{patient: Patient, plan: Plan | null, state: ConsoleState, one: Case}} props */
function Row({ patient, plan, state, one }) {
  const { code, own } = patient;
  const isHere = HERE.has(patient.where);
  const place = plan?.places[code];
  const rank = plan ? plan.order.indexOf(code) + 1 : 0;
  const who = [patient.age_years != null && t("mci.years", { years: patient.age_years }), patient.is_child && t("mci.child"),
    patient.needs.includes("burns") && t("mci.burns"), patient.area, patient.merged.length > 0 && `= ${patient.merged.join(", ")}`].filter(Boolean);
  const tagAgain = () => {
    entry.code.value = code;
    /** @type {HTMLElement | null} */ (document.querySelector("[name=wristband]"))?.focus();
  };
  const move = (/** @type {any} */ event) => {
    if (event.target.value) state.act({ action: "move_patient", case: one.id, code, to: event.target.value });
    event.target.value = "";
  };
  return html`<li class="patient" data-code=${code}>
    <span class="number muted">${isHere && rank > 0 ? rank : ""}</span>
    <${TagMark} tag=${patient.tag} />
    <button class="code" title=${t("mci.again", { code })} onClick=${tagAgain}><strong>${code}</strong></button>
    <span class="two-lines small">${who.join(" · ")}${patient.before.length > 0 && html` <span class="muted">${t("mci.was", { tags: patient.before.map((tag) => t(`tag.${tag}`)).join(" → ") })}</span>`}</span>
    ${isHere ? html`<time class="number small">${countdown(now.value - patient.since_ms)}</time>
        <span class="two-lines small">${patient.where === "treatment" && `${t("mci.where.treatment")} · `}${place ? `→ ${place.label} ${placeWords(plan, place)}`
          : rank > 0 ? html`<strong class="warn">${t("mci.no_room")}</strong>` : t("mci.stays")}</span>
        <span class="patient-do"><button class="small" onClick=${() => ask(state, "transport", code)}>${t("mci.send")}</button>
          <select class="small" aria-label=${t("mci.move", { code })} value="" onChange=${move}><option value="">…</option>
            ${["scene", "treatment", "left", "lost"].filter((where) => where !== patient.where).map((where) => html`<option key=${where} value=${where}>${t(`mci.where.${where}`)}</option>`)}</select></span>`
      : html`<span class="small">${t(`mci.where.${patient.where}`)}</span>
        <span class="two-lines small">${[patient.hospital && `→ ${patient.hospital}`, patient.unit, patient.stage && word("stage", patient.stage)].filter(Boolean).join(" · ")}</span>
        ${own ? html`<button class="small" onClick=${() => state.select(own)}>${t("same.show")}</button>` : html`<span></span>`}`}
  </li>`;
}

/** @param {Plan | null} plan @param {Plan["places"][string]} place */
function placeWords(plan, place) {
  const minutes = Math.max(1, Math.round(place.drive_s / 60));
  return [t(plan?.by_road ? "mci.by_road" : "mci.straight", { minutes }), ...place.lacks.map((one) => t(`why.lacks_${one}`))].join(" · ");
}

/** @param {ConsoleState} state @param {"transport" | "close_incident"} kind @param {string} name */
export function ask(state, kind, name) {
  state.reason.value = "";
  state.transport.value = { hospital: "", unit: "" };
  state.question.value = { kind, name };
}

/** Asks to send who is next. @param {ConsoleState} state @returns {boolean} */
export function askNext(state) {
  const code = state.suggestions.value?.incident?.next;
  if (!code || state.isOpening.value) return false;
  ask(state, "transport", code);
  return true;
}

/** @param {Record<string, number>} counts */
const sum = (counts) => Object.values(counts).reduce((total, count) => total + count, 0);

/** @param {HTMLElement | null} element */
function focusAtOnce(element) {
  element?.focus();
}
