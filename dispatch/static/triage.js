/**
 * Triage by keys: wristband code, then one key for each finding; the hub's own tables say what is asked.
 *
 *     17 ⏎  2 1 1 1 2 ⏎      does not walk, breathes, not over 30, pulse, does not obey: immediate
 */
import { html, signal, useEffect, useRef } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";
import { word } from "/static/shared/words.js";
import { TagMark } from "./tag_mark.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Case} Case */
/** @typedef {import("./incident.js").Patient} Patient */
/** @typedef {"immediate" | "delayed" | "minor" | "expectant"} Tag */
/** @typedef {{tag?: Tag, reason?: string, ask?: string}} Step */
/** @typedef {Record<string, Record<string, Record<string, Step>>>} Tables by method, question and answer */

const BY_HAND = /** @type {Record<string, Tag>} */ ({ i: "immediate", d: "delayed", m: "minor", x: "expectant" });
const YES_NO = /** @type {Record<string, string>} */ ({ y: "yes", n: "no" });

/** What is being entered; it stays until the hub has taken it. */
export const entry = {
  code: signal(""),
  answers: signal(/** @type {string[]} */ ([])),
  child: signal(false),
  burns: signal(false),
  byHand: signal(/** @type {Tag | null} */ (null)),
};

/** The hub has it: the next patient. */
export function startAgain() {
  entry.code.value = "";
  entry.answers.value = [];
  entry.child.value = entry.burns.value = false;
  entry.byHand.value = null;
  requestAnimationFrame(() => /** @type {HTMLElement | null} */ (document.querySelector("[name=wristband]"))?.focus());
}

/**
 * How far the answers lead.
 * @param {Record<string, Record<string, Step>> | undefined} table @param {string[]} answers
 * @returns {{given: [string, string][], end: Step}}
 */
export function walk(table, answers) {
  /** @type {Step} */
  let end = { ask: "walks" };
  /** @type {[string, string][]} */
  const given = [];
  for (const answer of answers) {
    const next = end.ask && table?.[end.ask]?.[answer];
    if (!next || !end.ask) break;
    given.push([end.ask, answer]);
    end = next;
  }
  return { given, end };
}

/** As the hub takes them. @param {[string, string][]} given */
function findings(given) {
  return Object.fromEntries(given.map(([question, answer]) => [
    question === "pulse_without_breath" ? "pulse" : question, YES_OR_NO[answer] ?? answer]));
}
const YES_OR_NO = /** @type {Record<string, boolean>} */ ({ yes: true, no: false });

/** @param {{state: ConsoleState, one: Case, patients: Patient[]}} props */
export function TriageForm({ state, one, patients }) {
  const keys = useRef(/** @type {HTMLElement | null} */ (null));
  const code = entry.code.value.replace(/\s/g, "").toUpperCase();
  const known = patients.find((patient) => patient.code === code);
  const method = entry.child.value ? "jumpstart" : "start";
  const table = state.about.value.triage?.[method];
  const { given, end } = walk(table, entry.answers.value);
  const tag = entry.byHand.value ?? end.tag;
  const busy = state.isSending("tag_patient", one.id);
  const save = () => {
    if (!code || !tag || busy) return;
    const hand = entry.byHand.value;
    state.act({
      action: "tag_patient", case: one.id, code, method: hand ? "hand" : method, again: known !== undefined,
      findings: findings(given), looks_child: entry.child.value, needs: entry.burns.value ? ["burns"] : [],
      ...(hand && { tag: hand }), ...(known?.age_years != null && { age_years: known.age_years }),
    });
  };
  useEffect(() => {
    if (known) entry.child.value = known.is_child;
  }, [known?.code]);
  const answers = Object.keys((end.ask && table?.[end.ask]) || {});
  /** @param {string} answer */
  const give = (answer) => {
    entry.byHand.value = null;
    entry.answers.value = [...given.map(([, before]) => before), answer];
  };
  /** @param {KeyboardEvent} event */
  const onKeyDown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    const answer = answers[Number(key) - 1] ?? (answers.includes(YES_NO[key]) ? YES_NO[key] : undefined);
    if (key === "escape") document.querySelector(/** @type {any} */ ("[name=wristband]"))?.focus();
    else if (key === "enter" && tag) save();
    else if (key === "backspace") back();
    else if (answer !== undefined && !tag) give(answer);
    else if (key === "c") toggle(entry.child);
    else if (key === "b") entry.burns.value = !entry.burns.value;
    else if (BY_HAND[key]) entry.byHand.value = BY_HAND[key];
    else if (key.length > 1) return;
    event.preventDefault();
    event.stopPropagation(); // they mean something else beside this form
  };
  const back = () => {
    if (entry.byHand.value) entry.byHand.value = null;
    else entry.answers.value = given.slice(0, -1).map(([, before]) => before);
  };
  const onCode = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Enter" || event.isComposing || !code) return;
    event.preventDefault();
    event.stopPropagation();
    keys.current?.focus();
  };
  return html`<div class="triage">
    <div class="triage-head"><label class="grow">${t("mci.wristband")}<input name="wristband" data-key="incident" maxlength="40" autocomplete="off"
        value=${entry.code.value} onInput=${(/** @type {any} */ event) => { entry.code.value = event.target.value; }} onKeyDown=${onCode} /></label>
      <label class="check"><input type="checkbox" checked=${entry.child.value} onChange=${() => toggle(entry.child)} />${t("mci.child")} <kbd>C</kbd></label>
      <label class="check"><input type="checkbox" checked=${entry.burns.value} onChange=${() => { entry.burns.value = !entry.burns.value; }} />${t("mci.burns")} <kbd>B</kbd></label></div>
    ${known && html`<p class="small"><strong>${t("mci.again", { code: known.code })}</strong> <${TagMark} tag=${known.tag} /></p>`}
    <div class="triage-keys" tabindex="0" role="group" aria-label=${t("mci.findings")} ref=${keys} onKeyDown=${onKeyDown}>
      ${given.length > 0 && html`<p class="small muted">${given.map(([question, answer]) =>
        `${t(`mci.short.${question}`)}: ${t(`mci.answer.${answer}`)}`).join(" · ")} <button class="small" onClick=${back}>⌫</button></p>`}
      ${tag ? html`<p class="triage-end" role="status"><${TagMark} tag=${tag} /> <span>${entry.byHand.value ? t("mci.by_hand") : word("mci.reason", end.reason ?? "")}</span>
          <button class="main" disabled=${!code || busy} onClick=${save}>${t("mci.save", { code: code || "?" })} <kbd>⏎</kbd></button></p>`
        : html`<p><strong>${t(`mci.ask.${end.ask}${end.ask === "rate" ? `.${method}` : ""}`)}</strong></p>
          <p class="answers">${answers.map((answer, index) => html`<button key=${answer} onClick=${() => give(answer)}>
            <kbd>${index + 1}</kbd> ${t(`mci.answer.${answer}`)}</button>`)}</p>`}
      <p class="small muted">${t("mci.keys_by_hand")}</p>
    </div>
  </div>`;
}

/** Another method asks other questions. @param {{value: boolean}} child */
function toggle(child) {
  child.value = !child.value;
  entry.answers.value = [];
}
