/**
 * The life-support guide: what to ask and what to have done, step by step, from the protocols of the hub.
 * The caller sees each step at once, with its picture. Keys count while the card has the focus (key Z).
 */
import { html, signal, useLayoutEffect, useRef } from "/static/shared/view.js";
import { countdown, now, timeOfDay } from "/static/shared/clock.js";
import { language, t } from "/static/shared/i18n.js";
import { distance, word } from "/static/shared/words.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Case} Case */
/** @typedef {{en: string, zh: string}} Wording */
/** @typedef {{id: string, title: Wording, version: string, review: Wording}} Protocol */
/** @typedef {{id: string, text: Wording, unsure: boolean}} Answer */
/** @typedef {{name: string, note: string, distance_m: number, is_open: boolean | null}} NearAed */
/**
 * @typedef {object} Run one patient's guiding
 * @property {string} run @property {string} protocol @property {string} step
 * @property {"question" | "instruction" | "hand_over" | null} kind @property {Wording | null} text
 * @property {Wording | null} title @property {string} pictogram @property {string} version @property {string} source
 * @property {number} metronome_per_min @property {number} rescuer_change_s @property {number} recheck_s
 * @property {number} at_ms @property {number} started_ms @property {number | null} changed_ms
 * @property {Record<string, number>} moments @property {Answer[]} answers @property {boolean} is_on
 * @property {string} patient @property {boolean} may_go_on @property {boolean} may_skip @property {boolean} may_go_back
 * @property {{severity: string | null, complaint: Wording | null, why: string} | null} proposal what the case should say
 */

/** What is to be left or changed, and why; null while nothing is. */
const leaving = signal(/** @type {{how: "skip_guide" | "override_guide" | "stop_guide", to: string, reason: string} | null} */ (null));
const MARKS = ["recognition", "hands_on_chest", "first_shock"];
/** The case whose guide this seat has just asked for: it comes into view, and takes the keys. */
let begun = "";

/** @param {Wording | null | undefined} text @returns {string} in the page's language */
export const said = (text) => (text ? text[language.value === "zh-CN" ? "zh" : "en"] : "");

/** @param {{one: Case, state: ConsoleState}} props */
export function GuideCard({ one, state }) {
  const runs = state.detail.value?.guide ?? [];
  const run = runs.find((each) => each.is_on);
  if (one.closed_ms) return null;
  if (!run) {
    return html`<p class="declare-line"><button class="small" data-key="guide" disabled=${state.isSending("start_guide", one.id)}
      onClick=${() => { begun = one.id; state.act({ action: "start_guide", case: one.id }); }}>${t(runs.length ? "guide.again" : "guide.start")} <kbd>Z</kbd></button></p>`;
  }
  return html`<${Step} one=${one} state=${state} run=${run} key=${run.run} />`;
}

/** @param {{one: Case, state: ConsoleState, run: Run}} props */
function Step({ one, state, run }) {
  const keys = useRef(/** @type {HTMLElement | null} */ (null));
  const moved = useRef(begun === one.id); // by this seat, whose keys then go on here
  const isNew = useRef(true);
  useLayoutEffect(() => {
    if ((moved.current || isNew.current) && !isTyping()) keys.current?.focus({ preventScroll: true });
    if (moved.current) keys.current?.closest("section")?.scrollIntoView({ block: "nearest" });
    moved.current = isNew.current = false;
    begun = "";
  }, [run.protocol, run.step, run.at_ms]);
  const protocol = state.about.value.protocols.find((each) => each.id === run.protocol);
  const at = { case: one.id, run: run.run, protocol: run.protocol, step: run.step };
  const busy = [...state.sent.value.values()].some((each) => each.run === run.run);
  const act = (/** @type {string} */ action, fields = {}) => {
    if (busy) return;
    leaving.value = null;
    moved.current = true;
    state.act({ action, ...(action === "stop_guide" ? { case: one.id, run: run.run } : at), ...fields });
  };
  const note = (/** @type {string} */ mark, withdrawn = false) => {
    const isNoted = [...state.sent.value.values()].some((each) => each.run === run.run && each.mark === mark);
    const wrong = withdrawn && { withdrawn, reason: t("guide.by_mistake") };
    if (!isNoted) state.act({ action: "note_moment", case: one.id, run: run.run, mark, ...wrong });
    keys.current?.focus({ preventScroll: true }); // its button goes away
  };
  const take = () => {
    const { severity = null, complaint = null } = run.proposal ?? {};
    if (!run.proposal || state.isSending("amend_case", one.id)) return;
    state.act({ action: "amend_case", case: one.id, ...(severity && { severity }), ...(complaint && { complaint: said(complaint) }) }, { isBeside: true });
    keys.current?.focus({ preventScroll: true });
  };
  const ask = (/** @type {"skip_guide" | "override_guide" | "stop_guide"} */ how) => { leaving.value = { how, to: "", reason: "" }; };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.target !== keys.current || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    const answer = run.answers[Number(key) - 1];
    if (answer) act("answer_guide", { answer: answer.id });
    else if (key === "enter" && run.may_go_on && !event.repeat) act("go_on_guide");
    else if (key === "backspace" && run.may_go_back) act("back_guide");
    else if (key === "s" && run.may_skip) ask("skip_guide");
    else if (key === "g") ask("override_guide");
    else if (key === "e") ask("stop_guide"); // not X, which ends the call wherever else it is pressed
    else if (key === "f" && (event.shiftKey ? run.moments.first_shock : mayShock(run))) note("first_shock", event.shiftKey);
    else if (key === "r" && (event.shiftKey ? run.changed_ms : isPushing(run))) note("rescuer_change", event.shiftKey);
    else if (key === "t" && run.proposal) take();
    else if (key.length > 1) return;
    event.preventDefault();
    event.stopPropagation(); // they mean something else beside this card
  };
  return html`<section class="guide card" aria-label=${t("guide.label")}>
    <div class="guide-keys" tabindex="0" role="group" aria-label=${t("guide.label")} ref=${keys} onKeyDown=${onKeyDown}
        data-enter=${run.may_go_on ? t(run.kind === "hand_over" ? "guide.look_again" : "guide.done") : ""}>
      <${Unanswered} one=${one} state=${state} />
      <header class="guide-head"><h3 class="muted">${t("guide.label")} · ${said(run.title)}</h3>
        <span class="small muted grow">${said(protocol?.review)} ${run.source}</span><${Times} one=${one} run=${run} /></header>
      <div class="guide-step"><svg viewBox="0 0 96 96" aria-hidden="true"><use href=${`/static/page/caller/pictograms.svg#${run.pictogram}`} /></svg>
        <p class="guide-text">${said(run.text)}</p></div>
      <div class="answers">${run.answers.map((answer, index) => html`<button key=${answer.id} disabled=${busy} onClick=${() => act("answer_guide", { answer: answer.id })}>
          <kbd>${index + 1}</kbd> ${said(answer.text)}</button>`)}
        ${run.may_go_on && html`<button class="main" disabled=${busy} onClick=${() => act("go_on_guide")}>${t(run.kind === "hand_over" ? "guide.look_again" : "guide.done")} <kbd>⏎</kbd></button>`}</div>
      ${run.proposal && html`<p class="guide-proposal"><button data-key="take-proposal" disabled=${state.isSending("amend_case", one.id)} onClick=${take}>
        ${t("guide.set", { what: [run.proposal.severity && t(`severity.${run.proposal.severity}`), said(run.proposal.complaint)].filter(Boolean).join(t("guide.comma")) })} <kbd>T</kbd></button>
        <span class="small muted">${run.proposal.why}</span></p>`}
      <div class="guide-ways small">
        ${mayShock(run) && html`<button class="small" data-mark="first_shock" onClick=${() => note("first_shock")}>${t("guide.shocked")} <kbd>F</kbd></button>`}
        ${isPushing(run) && html`<button class="small" data-mark="rescuer_change" onClick=${() => note("rescuer_change")}>${t("guide.changed")} <kbd>R</kbd></button>`}
        ${[["first_shock", run.moments.first_shock, "F"], ["rescuer_change", run.changed_ms, "R"]].map(([mark, at, key]) => at && html`<button class="small" data-unmark=${mark}
          onClick=${() => note(String(mark), true)}>${word("mark", String(mark))} <span class="number">${timeOfDay(Number(at))}</span> · ${t("guide.take_back")} <kbd>⇧${key}</kbd></button>`)}
        ${run.may_go_back && html`<button class="small" onClick=${() => act("back_guide")}>${t("guide.back")} <kbd>⌫</kbd></button>`}
        ${run.may_skip && html`<button class="small" onClick=${() => ask("skip_guide")}>${t("guide.skip")} <kbd>S</kbd></button>`}
        <button class="small" onClick=${() => ask("override_guide")}>${t("guide.override")} <kbd>G</kbd></button>
        <button class="small" onClick=${() => ask("stop_guide")}>${t("guide.stop")} <kbd>E</kbd></button></div>
    </div>
    ${leaving.value && html`<${Leaving} state=${state} act=${act} keys=${keys} />`}
    ${state.detail.value?.aeds?.map((aed) => html`<p class="small" key=${aed.name}><strong>AED</strong> ${aed.name} · ${distance(aed.distance_m)}
      ${aed.is_open === false ? html` · <span class="warn">${t("guide.aed_closed")}</span>` : ""} ${aed.note}</p>`)}
  </section>`;
}

/** Whom the guide speaks to, where that is not the caller of this seat. @param {{one: Case, state: ConsoleState}} props */
function Unanswered({ one, state }) {
  const { call } = one;
  if (!call || call.seat === state.about.value.seat) return null;
  const words = ["ringing", "unattended"].includes(call.phase) ? t("guide.unanswered") : call.seat ? t("guide.other_seat", { seat: call.seat })
    : call.phase === "held" ? t("call.phase.held") : t("guide.no_caller");
  return html`<p class="guide-unanswered" role="status"><strong class="warn">⚠ ${words}</strong></p>`;
}

/** Whether a key would be a letter of a text. */
const isTyping = () => document.activeElement?.matches("input, textarea, select") ?? false;

/** Why a step is left: nothing is skipped without a word. @param {{state: ConsoleState, act: (action: string, fields: object) => void, keys: any}} props */
function Leaving({ state, act, keys }) {
  const way = /** @type {NonNullable<typeof leaving.value>} */ (leaving.value);
  const box = useRef(/** @type {HTMLInputElement | null} */ (null));
  useLayoutEffect(() => box.current?.focus(), [way.how]); // at once: the next key is its first letter
  const ready = way.reason.trim() !== "" && (way.how !== "override_guide" || way.to !== "");
  const go = () => ready && act(way.how, { reason: way.reason.trim(), ...(way.how === "override_guide" && { to_protocol: way.to }) });
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && !event.isComposing) go();
    else if (event.key === "Escape") {
      leaving.value = null;
      keys.current?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`<div class="guide-why" data-enter=${t(`guide.do_${way.how}`)} onKeyDown=${onKeyDown}>
    ${way.how === "override_guide" && html`<select aria-label=${t("guide.override")} value=${way.to}
        onChange=${(/** @type {any} */ event) => { leaving.value = { ...way, to: event.target.value }; }}>
      <option value="">${t("guide.which")}</option>
      ${state.about.value.protocols.map((each) => html`<option value=${each.id}>${said(each.title)}</option>`)}</select>`}
    <input ref=${box} maxlength="400" aria-label=${t("guide.why")} placeholder=${t("guide.why")} value=${way.reason}
      onInput=${(/** @type {any} */ event) => { leaving.value = { ...way, reason: event.target.value }; }} />
    <button class="main" disabled=${!ready} onClick=${go}>${t(`guide.do_${way.how}`)} <kbd>⏎</kbd></button></div>`;
}

/** @param {Run} run */
const isPushing = (run) => run.metronome_per_min > 0;
/** A shock may have been given while the caller pushes or handles the defibrillator, once. @param {Run} run */
const mayShock = (run) => Boolean(run.moments.hands_on_chest ?? run.moments.recognition) && !run.moments.first_shock;

/** What is counted while somebody pushes. @param {{one: Case, run: Run}} props */
function Times({ one, run }) {
  const rang = one.call?.rang_ms ?? one.opened_ms;
  const pushing = run.metronome_per_min > 0 && run.moments.hands_on_chest;
  const since = Math.max(run.changed_ms ?? 0, run.moments.hands_on_chest ?? 0);
  const changeIn = pushing && run.rescuer_change_s ? since + run.rescuer_change_s * 1000 - now.value : null;
  return html`<span class="guide-times small number">${MARKS.filter((mark) => run.moments[mark]).map((mark) =>
      html`<span key=${mark} title=${timeOfDay(run.moments[mark])}>${word("mark", mark)} ${countdown(run.moments[mark] - rang)}</span>`)}
    ${run.metronome_per_min > 0 && html`<strong>♩ ${run.metronome_per_min}/min</strong>`}
    ${changeIn !== null && html`<strong class=${changeIn <= 0 ? "warn" : ""}>${changeIn > 0 ? t("guide.change_in", { time: countdown(changeIn) }) : t("guide.change_now")}</strong>`}</span>`;
}
