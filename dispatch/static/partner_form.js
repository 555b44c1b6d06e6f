/**
 * Telling police or fire: whom, what for, a note; and before it leaves, in words, what leaves the
 * building. By keys alone: F opens it and goes on to the next partner, digits choose what for,
 * T goes to the note, P gives the caller's number where that may go, Enter sends.
 */
import { html, signal } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";
import { distance, word } from "/static/shared/words.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Case} Case */
/** @typedef {{name: string, label: string, kind: "police" | "fire" | "other", contact: string}} Partner */
/** @typedef {{change: "alert" | "update" | "cancel", purposes: string[], note: string, with_number: boolean,
 *   state: "asked" | "sent" | "failed", asked_ms: number, done_ms: number | null, reason: string | null,
 *   tries: number, document: string}} Told */
/** @typedef {{stands: boolean, last: Told | null, answer: {status: string, note: string, at_ms: number} | null}} Partnership */
/** @typedef {{purposes: string[], note: string, withNumber: boolean}} Draft */

export const PURPOSES = ["traffic_accident", "violence", "fire", "hazardous_material", "trapped", "door_opening", "road_block", "other"];

/** What is being written to a partner, by case and partner; it stays until it is sent. */
const drafts = signal(/** @type {Record<string, Draft>} */ ({}));

/** @param {ConsoleState} state @param {string} id @param {string} name @returns {Draft} */
function draftOf(state, id, name) {
  const before = state.detail.value?.partners[name];
  return drafts.value[`${id} ${name}`]
    ?? { purposes: before?.stands && before.last ? before.last.purposes : [], note: "", withNumber: false };
}

/** @param {ConsoleState} state @param {string} id @param {string} name @param {Partial<Draft>} changed */
function change(state, id, name, changed) {
  drafts.value = { ...drafts.value, [`${id} ${name}`]: { ...draftOf(state, id, name), ...changed } };
}

/** Throws away what was written for a case: it was sent. @param {string} id */
export function forget(id) {
  drafts.value = Object.fromEntries(Object.entries(drafts.value).filter(([key]) => !key.startsWith(id)));
}

/** Asks whom to tell, beginning with one. @param {ConsoleState} state @param {string} [name] @returns {boolean} */
export function openPartner(state, name) {
  const one = state.case.value;
  const [first] = state.about.value.partners;
  if (!one || one.closed_ms || !first || state.isOpening.value) return true;
  state.reason.value = "";
  state.question.value = { kind: "partner", name: name ?? first.name };
  return true;
}

/** What a key means while it is asked whom to tell. @param {string} key @returns {boolean} whether it meant something */
export function partnerKey(key) {
  const found = /** @type {HTMLElement | null} */ (document.querySelector(
    /^[1-9]$/.test(key) ? `[data-purpose="${key}"]` : `[data-partner-key="${CSS.escape(key)}"]`));
  if (!found) return /^[1-9]$/.test(key);
  if (found instanceof HTMLInputElement && found.type === "text") found.focus();
  else found.click();
  return true;
}

/** @param {ConsoleState} state @param {Case} one @param {string} name */
export function askPartner(state, one, name) {
  const partner = partnerOf(state, name);
  const { purposes, note, withNumber } = draftOf(state, one.id, name);
  const before = state.detail.value?.partners[name];
  const number = withNumber && partner.kind === "police" ? numberOf(state) : "";
  return {
    title: t(before?.stands ? "ask.partner_update_title" : "ask.partner_title", { partner: partner.label }),
    consequences: [
      t("ask.partner_leaves", { partner: partner.label, what: whatWords(purposes, note), place: placeWords(one), units: unitWords(state, one) }),
      number ? t("ask.partner_with_number", { number }) : t("ask.partner_nothing"),
    ],
    why: null,
    extra: html`<${PartnerFields} state=${state} one=${one} name=${name} />`,
    ready: purposes.length > 0 && !state.isSending("tell_partner", one.id),
    button: t("ask.partner_do", { partner: partner.label }),
    action: {
      action: "tell_partner", case: one.id, partner: name, purposes,
      ...(note.trim() && { note: note.trim() }), ...(number && { with_number: true }),
    },
  };
}

/** @param {ConsoleState} state @param {Case} one @param {string} name */
export function askCancelPartner(state, one, name) {
  const { label: partner } = partnerOf(state, name);
  const note = state.reason.value.trim();
  return {
    title: t("ask.partner_cancel_title", { partner }),
    consequences: [t("ask.partner_cancel", { partner })],
    why: null,
    extra: html`<label class="reason">${t("ask.partner_cancel_why", { partner })}<input name="reason" maxlength="1000" autocomplete="off"
      value=${state.reason.value} onInput=${(/** @type {any} */ event) => { state.reason.value = event.target.value; }} /></label>`,
    ready: note !== "" && !state.isSending("cancel_partner", one.id),
    button: t("ask.partner_cancel_do"),
    action: { action: "cancel_partner", case: one.id, partner: name, note },
  };
}

/** @param {{state: ConsoleState, one: Case, name: string}} props */
function PartnerFields({ state, one, name }) {
  const { partners } = state.about.value;
  const draft = draftOf(state, one.id, name);
  const next = partners[(partners.findIndex((partner) => partner.name === name) + 1) % partners.length];
  const show = (/** @type {string} */ other) => { state.question.value = { kind: "partner", name: other }; };
  const toggle = (/** @type {string} */ purpose) => change(state, one.id, name, {
    purposes: draft.purposes.includes(purpose) ? draft.purposes.filter((known) => known !== purpose) : [...draft.purposes, purpose] });
  const number = partnerOf(state, name).kind === "police" ? numberOf(state) : "";
  return html`<div class="partner-form">
    ${partners.length > 1 && html`<div class="choices-row" role="group" aria-label=${t("ask.partner_whom")}>
      ${partners.map((partner) => html`<button key=${partner.name} aria-pressed=${partner.name === name}
        data-partner-key=${partner === next ? "f" : undefined} onClick=${() => show(partner.name)}>${partner.label}
        ${partner === next && html` <kbd>F</kbd>`}</button>`)}</div>`}
    <div class="choices-row" role="group" aria-label=${t("ask.partner_what")}>
      ${PURPOSES.map((purpose, index) => html`<button key=${purpose} data-purpose=${index + 1}
        aria-pressed=${draft.purposes.includes(purpose)} onClick=${() => toggle(purpose)}><kbd>${index + 1}</kbd> ${word("purpose", purpose)}</button>`)}</div>
    <label class="reason"><span>${t("ask.partner_note")} <kbd>T</kbd></span><input type="text" name="partner_note" data-partner-key="t" maxlength="1000"
      autocomplete="off" value=${draft.note} onInput=${(/** @type {any} */ event) => change(state, one.id, name, { note: event.target.value })} /></label>
    ${number && html`<label class="tick"><input type="checkbox" name="with_number" data-partner-key="p" checked=${draft.withNumber}
      onChange=${(/** @type {any} */ event) => change(state, one.id, name, { withNumber: event.target.checked })} />
      ${t("ask.partner_number", { number })} <kbd>P</kbd></label>`}
  </div>`;
}

/** @param {ConsoleState} state @param {string} name @returns {Partner} */
export function partnerOf(state, name) {
  return state.about.value.partners.find((one) => one.name === name) ?? { name, label: name, kind: "other", contact: "" };
}

/** @param {string | null} reason why a partner was not told, as the hub says it @returns {string} in the page's language */
export function reasonWords(reason) {
  const [, how, detail] = /^(no answer|answered|bad address|not in the settings):? ?(.*)$/.exec(reason ?? "") ?? [];
  return how ? t(`partner.why.${how.replaceAll(" ", "_")}`, { detail }) : reason ?? "";
}

/** @param {ConsoleState} state */
function numberOf(state) {
  return state.detail.value?.call_back ?? "";
}

/** Who was told of the shown case and not that it is over. @param {ConsoleState} state @returns {string[]} their names for people */
export function standing(state) {
  const all = Object.entries(state.detail.value?.partners ?? {});
  return all.filter(([, one]) => one.stands).map(([name]) => partnerOf(state, name).label);
}

/** @param {string[]} purposes @param {string} note */
function whatWords(purposes, note) {
  const what = purposes.map((purpose) => word("purpose", purpose)).join(", ") || `(${t("ask.partner_no_purpose")})`;
  return note.trim() ? `${what}; “${note.trim()}”` : what;
}

/** @param {Case} one */
function placeWords(one) {
  const at = one.position ?? one.place;
  const point = at && `${at.latitude_deg.toFixed(5)}°, ${at.longitude_deg.toFixed(5)}°${at.radius_m ? ` ± ${distance(at.radius_m)}` : ""}`;
  return [one.address, point].filter(Boolean).join(", ") || t("case.no_address");
}

/** @param {ConsoleState} state @param {Case} one */
function unitWords(state, one) {
  if (!one.unit) return t("ask.partner_no_unit");
  return t("ask.partner_unit", { unit: state.units.value.get(one.unit)?.label ?? one.unit });
}
