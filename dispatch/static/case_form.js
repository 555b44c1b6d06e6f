/** Opening a case, and correcting it: the address first, everything else when it is known. */
import { html, useRef, useSignal } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";
import { sourceWords } from "./located.js";
import { PlaceHits, toPlaces } from "./place_hits.js";
import { Problem } from "./questions.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Form} Form */
const SEVERITIES = ["red", "yellow", "green", "unknown"];
const SEXES = ["female", "male", "other", "unknown"];

/** @param {{state: ConsoleState}} props */
export function NewCase({ state }) {
  const form = state.form.value;
  const busy = state.isSending("open_case");
  const submit = () => form.address.trim() && !busy && state.act({ action: "open_case", ...fields(form) });
  return html`<section class="case-column new" aria-label=${t("case.new")}>
    <h2>${t("case.new")}</h2>
    <p class="muted">${t("form.hint")}</p>
    <${Problem} state=${state} />
    <${Fields} state=${state} id=${null} form=${form} change=${(/** @type {Form} */ next) => { state.form.value = next; }} submit=${submit} />
    <label class="check"><input type="checkbox" name="drill" checked=${form.drill === true} onChange=${() => { state.form.value = { ...form, drill: !form.drill }; }} />
      ${t("mci.exercise")}</label>
    <div class="actions">
      <button class="main" disabled=${!form.address.trim() || busy} onClick=${submit}>
        ${busy ? t("form.opening") : t("form.open")} <kbd>⏎</kbd></button>
      <button onClick=${() => { state.isOpening.value = false; }}>${t("form.later")} <kbd>Esc</kbd></button>
    </div>
  </section>`;
}

/** The corrections to the case that is shown. @param {{state: ConsoleState, id: string}} props */
export function EditCase({ state, id }) {
  const one = state.case.value;
  const begun = useRef(one && formOf(one)); // what another seat changes meanwhile is not undone by this one
  if (!one || !begun.current) return null;
  const before = begun.current;
  const busy = state.isSending("amend_case", id);
  const save = () => {
    const changed = changes(fields(before), fields(state.edits.value));
    if (Object.keys(changed).length) state.act({ action: "amend_case", case: id, ...changed });
    else state.editing.value = null;
  };
  return html`<div class="edit" data-enter=${t("form.save")}>
    <${Fields} state=${state} id=${id} form=${state.edits.value} change=${(/** @type {Form} */ next) => { state.edits.value = next; }} submit=${save} />
    <div class="actions"><button class="main" disabled=${busy} onClick=${save}>${t("form.save")} <kbd>⏎</kbd></button>
      <button onClick=${() => { state.editing.value = null; }}>${t("form.cancel")} <kbd>Esc</kbd></button></div>
  </div>`;
}

/** @param {{state: ConsoleState, id: string | null, form: Form, change: (form: Form) => void, submit: () => void}} props */
function Fields({ state, id, form, change, submit }) {
  /** @param {string} name @returns {(event: any) => void} */
  const set = (name) => (event) => change({ ...form, [name]: event.target.value });
  const wantsMore = useSignal(false);
  const isShort = state.surge.value.is_on && !wantsMore.value;
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && !event.isComposing && !(event.target instanceof HTMLButtonElement)) {
      event.preventDefault();
      submit();
    }
  };
  return html`<div class="fields" onKeyDown=${onKeyDown}>
    <label class="wide">${t("form.address")}<input ref=${focusAtOnce} name="address" required maxlength="4000" autocomplete="off"
      value=${form.address} onInput=${set("address")} onKeyDown=${toPlaces} /></label>
    <${PlaceHits} state=${state} id=${id} form=${form} change=${change} />
    <label class="wide">${t("form.complaint")}<input name="complaint" maxlength="4000" autocomplete="off"
      value=${form.complaint} onInput=${set("complaint")} /></label>
    <label class=${isShort ? "wide" : ""}>${t("form.severity")}<select name="severity" value=${form.severity} onChange=${set("severity")}>
      ${SEVERITIES.map((one) => html`<option value=${one}>${t(`severity.${one}.long`)}</option>`)}</select></label>
    ${isShort ? html`<button type="button" class="wide" onClick=${() => { wantsMore.value = true; }}>${t("surge.more")}</button>`
      : html`<label>${t("form.sex")}<select name="sex" value=${form.sex} onChange=${set("sex")}>
      ${SEXES.map((one) => html`<option value=${one}>${t(`sex.${one}`)}</option>`)}</select></label>
    <label>${t("form.age")}<input name="age" inputmode="numeric" maxlength="3" autocomplete="off" value=${form.age}
      onInput=${(/** @type {any} */ event) => change({ ...form, age: event.target.value.replace(/\D/g, "") })} /></label>
    <label>${t("form.caller")}<input name="caller" maxlength="200" autocomplete="off" value=${form.caller}
      onInput=${set("caller")} /></label>`}
    <div class="wide place"><span>${t("case.position")}</span>
      ${form.position
        ? html`<span class="number">${form.position.latitude_deg.toFixed(5)}°, ${form.position.longitude_deg.toFixed(5)}°</span>
          ${form.position.source && html`<span>${sourceWords(form.position.source)}</span>`}
          <button type="button" onClick=${() => change({ ...form, position: null })}>${t("form.no_position")}</button>`
        : html`<span class="muted">${t("form.click_map")}</span>`}</div>
  </div>`;
}

/** As it is drawn, not after the next frame: who types fast loses no letter. @param {HTMLElement | null} input */
function focusAtOnce(input) {
  input?.focus();
}

/** @param {import("./state.js").Case} one @returns {Form} */
export function formOf(one) {
  return {
    address: one.address, complaint: one.complaint, severity: one.severity, sex: one.sex,
    age: one.age_years == null ? "" : String(one.age_years), caller: one.caller ?? "", position: one.position,
  };
}

/** What the hub takes; what is empty is left out. @param {Form} form @returns {Record<string, any>} */
function fields(form) {
  const { address, complaint, severity, sex, age, caller, position } = form;
  return {
    address: address.trim(), complaint: complaint.trim(), severity, sex, ...(form.drill && { drill: true }),
    ...(age && { age_years: Math.min(130, Number(age)) }),
    ...(caller.trim() && { caller: caller.trim() }),
    ...(position && { position: {
      latitude_deg: position.latitude_deg, longitude_deg: position.longitude_deg,
      source: position.source ?? "dispatcher", ...(position.radius_m != null && { radius_m: position.radius_m }) } }),
  };
}

/** @param {Record<string, any>} before @param {Record<string, any>} after @returns {Record<string, any>} */
function changes(before, after) {
  return Object.fromEntries(Object.entries(after).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name])));
}
