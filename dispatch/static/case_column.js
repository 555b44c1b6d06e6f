/** The case: who, where, what; its unit and hospital; vital signs, video, timeline and notes. */
import { html } from "/static/shared/view.js";
import { ageInWords, countdown, now, timeOfDay } from "/static/shared/clock.js";
import { Delivery } from "/static/shared/delivery.js";
import { language, t } from "/static/shared/i18n.js";
import { Severity, levelClass, levelOf } from "/static/shared/severity.js";
import { Timeline } from "/static/shared/timeline.js";
import { band } from "/static/shared/value_tile.js";
import { distance, word } from "/static/shared/words.js";
import { CabinVideo } from "./cabin_video.js";
import { CallBar } from "./call_bar.js";
import { CallerVideoCard } from "./caller_video.js";
import { EditCase, formOf } from "./case_form.js";
import { CaseAlerts } from "./case_alerts.js";
import { Clamped } from "./clamp.js";
import { GuideCard } from "./guide.js";
import { IncidentCard } from "./incident.js";
import { Located } from "./located.js";
import { NewestLine } from "./newest_line.js";
import { Partners } from "./partners.js";
import { Problem, QuestionBox } from "./questions.js";
import { ElsewhereUnits, HomeLine, lentOf, SharedLine, WantedUnits } from "./foreign.js";
import { SameEvent } from "./same_event.js";
import { VitalSigns } from "./vital_signs.js";
import { HeldLines, TalkCard } from "./talk.js";
import { entryWords, methodWords, reasonOf, sexAndAge } from "./words.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Case} Case */

/** @param {{state: ConsoleState}} props */
export function CaseColumn({ state }) {
  const one = state.case.value;
  if (!one) {
    return html`<section class="case-column nothing-shown" aria-label=${t("case.label")}>
      <p>${t(state.about.value.known ? "case.none" : "link.connecting")}</p>
      ${state.about.value.known && html`<p class="muted">${t("case.none_hint")} <kbd>N</kbd></p>`}</section>`;
  }
  if (one.home) return html`<${ForeignCase} one=${one} state=${state} />`;
  return html`<section class="case-column live" aria-label=${t("case.label")} key=${one.id}>
    <${CallBar} one=${one} state=${state} />
    <${CaseAlerts} one=${one} state=${state} />
    <${SharedLine} one=${one} state=${state} />
    <${Head} one=${one} state=${state} />
    <${Problem} state=${state} />
    <${QuestionBox} state=${state} />
    <div class="beginnings"><${IncidentCard} one=${one} state=${state} /><${GuideCard} one=${one} state=${state} /></div>
    <${TalkCard} one=${one} state=${state} />
    <${CallerVideoCard} one=${one} state=${state} />
    <${Located} one=${one} state=${state} />
    <${SameEvent} one=${one} state=${state} />
    <div class="parties">
      <${UnitParty} one=${one} state=${state} />
      <${HospitalParty} one=${one} state=${state} />
    </div>
    <${Partners} one=${one} state=${state} />
    <${VitalSigns} state=${state} />
    <${CabinVideo} state=${state} unit=${one.unit} />
    <${Story} one=${one} state=${state} />
    <${NewestLine} one=${one} state=${state} />
    <${HeldLines} one=${one} state=${state} />
  </section>`;
}

/** A neighbour's: its call and what is known, but no unit or hospital of ours. @param {{one: any, state: ConsoleState}} props */
function ForeignCase({ one, state }) {
  const isCut = !state.districts.neighbour(one.home)?.connected;
  return html`<section class="case-column live foreign ${isCut ? "cut-off" : ""}" aria-label=${t("case.label")} key=${one.id}>
    <${HomeLine} one=${one} state=${state} />
    <${CallBar} one=${one} state=${state} />
    <${CaseAlerts} one=${one} state=${state} />
    <${Head} one=${one} state=${state} />
    <${Problem} state=${state} />
    <${TalkCard} one=${one} state=${state} />
    <${Located} one=${one} state=${state} />
    <${Story} one=${one} state=${state} />
  </section>`;
}

/** @param {{one: Case, state: ConsoleState}} props */
function Head({ one, state }) {
  const { class: bandClass, word: bandWord } = band(one);
  const edit = () => {
    state.edits.value = formOf(one);
    state.editing.value = one.id;
  };
  const close = () => {
    state.reason.value = state.outcome.value = "";
    state.question.value = { kind: "close", name: one.id };
  };
  if (state.editing.value === one.id) {
    return html`<header class="case-head card"><${EditCase} state=${state} id=${one.id} /></header>`;
  }
  const facts = [sexAndAge(one), `“${one.alias}”`, one.caller && t("case.caller", { caller: one.caller }),
    one.pathway && word("pathway", one.pathway),
    one.severity !== "unknown" && t("case.severity_by", { who: who(state, one.severity_by) })].filter(Boolean);
  return html`<header class="case-head card ${levelClass(levelOf(one.severity))} ${bandClass}" data-band=${bandWord}>
    <div class="head-line"><${Severity} level=${levelOf(one.severity)} word=${t(`severity.${one.severity}`)}
        title=${t("case.severity_by", { who: who(state, one.severity_by) })} />
      <span class="muted small number grow">${t("case.opened", { time: timeOfDay(one.opened_ms) })}</span>
      <button onClick=${() => print()}>${t("case.print")}</button>
      ${one.closed_ms ? html`<strong>${t("case.closed", { time: timeOfDay(one.closed_ms), outcome: word("outcome", one.outcome ?? "") })}</strong>`
        : html`<button data-key="edit" onClick=${edit}>${t("form.edit")} <kbd>E</kbd></button>
          ${!one.home && html`<button onClick=${close}>${t("ask.close_title")}</button>`}`}</div>
    <p class="print-only small">${t("case.printed", { id: one.id, time: new Date(now.value).toLocaleString(language.value), seat: state.about.value.seat })}</p>
    <h2 class="address"><${Clamped} text=${one.address || t("case.no_address")} /></h2>
    <p class="complaint">${one.complaint ? html`<${Clamped} text=${one.complaint} />` : html`<span class="muted">${t("case.no_complaint")}</span>`}</p>
    <p class="facts muted"><${Clamped} text=${facts.join(" · ")} /></p>
  </header>`;
}

/** @param {{one: Case, state: ConsoleState}} props */
function UnitParty({ one, state }) {
  const unit = one.unit ? state.units.value.get(one.unit) : null;
  const lent = lentOf(one);
  const sending = state.isSending("assign_unit", one.id);
  const mark = sending ? { state: /** @type {const} */ ("made") } : one.unit_mark;
  const lost = one.unit && unit && !unit.in_reach;
  return html`<div class="party card" data-party="unit">
    <h3 class="muted">${t("party.unit")}</h3>
    ${one.unit ? html`<p class="party-name"><strong>${unit?.label ?? one.unit}</strong>
        ${mark && html`<${Delivery} state=${mark.state} role=${mark.role && word("role", mark.role)} />`}</p>
      <p>${one.run_ended_ms ? t("party.run_ended") : one.stage ? word("stage", one.stage) : t("party.sent")}</p>
      ${lost && html`<p class="warn">${unit.heard_ms
        ? t("party.silent", { age: ageInWords(now.value - unit.heard_ms) }) : t("party.never_heard")}</p>`}`
      : html`<p class="party-name"><strong>${lent ? `${lent.label} (${state.districts.label(lent.region)})` : t("party.no_unit")}</strong></p>`}
    <${WantedUnits} one=${one} state=${state} />
    ${!one.closed_ms && html`<${Choices} state=${state} kind="unit" current=${one.unit} keyName="U" />`}
  </div>`;
}

/** @param {{one: Case, state: ConsoleState}} props */
function HospitalParty({ one, state }) {
  const unit = one.unit ? state.units.value.get(one.unit) : null;
  const eta = unit?.case === one.id ? unit.arrival : null;
  const sending = state.isSending("choose_hospital", one.id);
  const mark = sending ? { state: /** @type {const} */ ("made") } : one.hospital_mark;
  return html`<div class="party card" data-party="hospital">
    <h3 class="muted">${t("party.hospital")}</h3>
    ${one.hospital ? html`<p class="party-name"><strong>${one.hospital_name}</strong>
        ${mark && html`<${Delivery} state=${mark.state} role=${mark.role && word("role", mark.role)} />`}</p>
      <p>${one.stage === "arrived" || one.stage === "handed_over" ? word("stage", one.stage) : eta
        ? html`<${Eta} eta=${eta} />`
        : html`<span class="muted">${t("party.no_eta")}</span>`}</p>`
      : html`<p class="party-name"><strong>${t("party.no_hospital")}</strong></p>`}
    ${!one.closed_ms && html`<${Choices} state=${state} kind="hospital" current=${one.hospital} keyName="H" />`}
  </div>`;
}

/** The time to go; hollow once the position that it rests on is old. @param {{eta: NonNullable<import("./state.js").Unit["arrival"]>}} props */
function Eta({ eta }) {
  const ageMs = now.value - eta.position_ms;
  const stale = ageMs > eta.stale_after_s * 1000;
  const age = t("party.position_age", { age: ageInWords(ageMs) });
  return html`${t("party.eta")} <strong class="number eta ${stale ? "hollow" : ""}">${countdown(eta.at_ms - now.value)}</strong>
    <span class="muted small"> ${distance(eta.distance_m)} · <span class=${stale ? "warn" : ""}>${age}</span> · ${methodWords(eta.method)}</span>`;
}

/**
 * The recommended one and the next two, each with its reason in a line; behind "other", all.
 * @param {{state: ConsoleState, kind: "unit" | "hospital", current: string | null, keyName: string}} props
 */
function Choices({ state, kind, current, keyName }) {
  const found = state.suggestions.value?.[kind === "unit" ? "units" : "hospitals"] ?? [];
  const all = kind === "unit" ? [...state.units.value.values()] : state.hospitals.value;
  const rest = all.filter((one) => one.name !== current && one.drill === state.case.value?.drill);
  /** @param {string} name */
  const ask = (name) => {
    state.reason.value = "";
    state.question.value = { kind, name };
  };
  const shown = found.filter((one) => one.name !== current);
  const chosen = state.question.value?.kind === kind ? state.question.value.name : null;
  return html`<details class="choices" open=${!current || chosen !== null}>
    <summary>${t(current ? `party.change_${kind}` : `party.choose_${kind}`)} ${!current && html`<kbd>${keyName}</kbd>`}</summary>
    ${shown.length === 0 && kind === "unit" && html`<p class="muted">${t("party.none_free")}</p>`}
    <ol>${shown.map((one, index) => html`<li key=${one.name}><button class="choice ${index === 0 ? "first" : ""}"
        aria-pressed=${chosen === one.name} onClick=${() => ask(one.name)}>
      <kbd>${found.indexOf(one) + 1}</kbd><span class="choice-words"><span class="clip">${one.label}</span>
        <span class="small muted">${reasonOf(one)}</span></span></button></li>`)}</ol>
    ${kind === "unit" && html`<${ElsewhereUnits} state=${state} />`}
    <label class="small muted other">${t(`party.other_${kind}`)}
      <select value="" onChange=${(/** @type {any} */ event) => event.target.value && ask(event.target.value)}>
        <option value="">…</option>
        ${rest.map((one) => html`<option value=${one.name}>${one.label}${busyWords(state, one)}</option>`)}
      </select></label>
  </details>`;
}

/** @param {ConsoleState} state @param {any} one a unit or a hospital */
function busyWords(state, one) {
  const busy = one.case ? state.cases.value.get(one.case) : null;
  return busy ? ` (${t("units.on", { address: busy.address })})` : "";
}

/** The timeline, and the note that is being written. @param {{one: Case, state: ConsoleState}} props */
function Story({ one, state }) {
  const detail = state.detail.value;
  const note = state.notes.value[one.id] ?? "";
  const entries = (detail?.entries ?? []).map((entry) => ({
    id: entry.id, atMs: entry.at_ms, notedAtMs: entry.noted_ms, lateMs: entry.late_ms, time: entry.time, who: who(state, entry.source),
    text: html`<${Clamped} text=${entryWords(entry, (name) => who(state, name))} />`, synthetic: entry.origin === "synthetic",
    delivery: entry.mark?.state, seenBy: entry.mark?.role && word("role", entry.mark.role),
    level: entry.kind === "pre_alert" ? levelOf(entry.data.severity) : undefined,
  }));
  const send = () => note.trim() && state.act({ action: "note", case: one.id, text: note.trim() });
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && !event.isComposing) send();
  };
  return html`<section class="story">
    <h3>${t("timeline.label")} ${!one.home && html`<a class="small" href=${`/api/cases/${one.id}/ledger`} target="_blank" rel="noopener">${t("case.ledger")}</a>`}</h3>
    <label class="note"><span class="visually-hidden">${t("note.label")}</span>
      <input data-key="note" name="note" data-enter=${t("note.add")} maxlength="4000" autocomplete="off" placeholder=${t("note.hint")} value=${note} onKeyDown=${onKeyDown}
        onInput=${(/** @type {any} */ event) => { state.notes.value = { ...state.notes.value, [one.id]: event.target.value }; }} />
      <button disabled=${!note.trim() || state.isSending("note", one.id)} onClick=${send}>${t("note.add")}</button></label>
    <${Timeline} entries=${entries} />
  </section>`;
}

/** @param {ConsoleState} state @param {string} name of a unit, a hospital or the hub */
function who(state, name) {
  return state.units.value.get(name)?.label
    ?? state.hospitals.value.find((one) => one.name === name)?.label
    ?? state.cases.value.get(name)?.alias
    ?? state.districts.neighbour(name)?.label
    ?? (name === state.about.value.region ? t("district.here") : undefined)
    ?? (name === "hub" || !name ? t("who.dispatch") : name);
}
