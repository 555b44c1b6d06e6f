/** The call of a case: how it stands, since when, who has it, and what its seat can do with it. */
import { html } from "/static/shared/view.js";
import { countdown, now } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { word } from "/static/shared/words.js";
import { isMine, isOffered, nextCall } from "./call_order.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Case} Case */

/** Told apart without colour, and by one sign at a glance. */
export const PHASE_SIGN = {
  ringing: "☎", talking: "●", held: "‖", offered: "⇄", unattended: "⚠", lost: "↩", calling: "↗", ended: "✓",
};

/** Signs of what is no telephone call. */
const LINE_SIGN = /** @type {Record<string, string>} */ ({ video: "▶", text: "✎", sms: "✉", app: "▣", ecall: "⛟" });

/** By which means a caller came, where that is no telephone call. @param {{line: string}} props */
export function LineKind({ line }) {
  if (line === "voice") return null;
  return html`<span class="row-line" data-line=${line}><span aria-hidden="true">${LINE_SIGN[line] ?? "?"}</span> ${word("line", line)}</span>`;
}

/** @param {{one: Case, state: ConsoleState}} props */
export function CallBar({ one, state }) {
  const call = one.call;
  if (!call) return null;
  const { seat } = state.about.value;
  const who = call.number || t("call.withheld");
  const urgent = call.phase === "ringing" || call.phase === "unattended" || isOffered(one, seat);
  return html`<section class="call-bar card ${urgent ? "urgent" : ""}" data-phase=${call.phase} aria-label=${t("call.label")}>
    <p class="call-state"><span aria-hidden="true" class="call-sign">${PHASE_SIGN[call.phase]}</span>
      <strong>${phaseWords(one, seat)}</strong>
      ${call.phase !== "ended" && html`<time class="number call-time">${countdown(now.value - call.since_ms)}</time>`}
      <span class="number grow call-number">${who} <${LineKind} line=${call.line} /></span></p>
    ${call.silent && html`<p class="warn">${t("call.silent_hint")}</p>`}
    ${state.ended.value === one.id && call.phase === "ended" && html`<p class="call-ended" role="status">${t("call.you_ended", { who: call.number || `“${one.alias}”` })}</p>`}
    <div class="actions">${buttons(one, state, seat)}
      ${!one.closed_ms && /^\+?\d/.test(call.number) && html`<button data-call="send_link" disabled=${state.isSending("send_link", one.id)}
        onClick=${() => { state.question.value = { kind: "send_link", name: one.id }; }}>${t("call.do.send_link")} <kbd>P</kbd></button>`}</div>
  </section>`;
}

/** @param {Case} one @param {string} seat @returns {string} how the call stands, in words */
export function phaseWords(one, seat) {
  const call = /** @type {import("./state.js").Call} */ (one.call);
  const words = { seat: call.seat === seat ? t("call.you") : call.seat, to: call.offered_to === seat ? t("call.you") : call.offered_to };
  const phase = call.phase === "unattended" && call.wrote ? "wrote" : call.phase; // it was over, and is not for its caller
  return t(`call.phase.${phase}`, words) + (call.silent ? ` · ${t("call.silent")}` : "");
}

/** @param {Case} one @param {ConsoleState} state @param {string} seat */
function buttons(one, state, seat) {
  const { phase } = /** @type {import("./state.js").Call} */ (one.call);
  const act = (/** @type {string} */ action, fields = {}) => () => state.act({ action, case: one.id, ...fields });
  /** @param {string} name @param {string} key @param {() => void} onClick @param {boolean} [main] */
  const button = (name, key, onClick, main = false) => html`<button class=${main ? "main" : ""} data-call=${name}
    disabled=${state.isSending(name, one.id)} onClick=${onClick}>${t(`call.do.${name}`)} ${key && html`<kbd>${key}</kbd>`}</button>`;
  const isNext = (nextCall(state.queue.value, seat) ?? one).id === one.id;
  const answerKey = isNext ? "A" : "⇧A";
  if (isOffered(one, seat)) {
    return [button("answer_call", answerKey, act("answer_call"), true), button("decline_call", "D", act("decline_call"))];
  }
  const mine = isMine(one, seat);
  switch (phase) {
    case "ringing": case "unattended": return button("answer_call", answerKey, act("answer_call"), true);
    case "held": return [button("answer_call", answerKey, act("answer_call"), true)];
    case "lost": return [button("call_back", "B", act("call_back"), true), html`<${GiveUp} one=${one} state=${state} />`];
    case "ended": return [mayTakeBack(one, state) && html`<button data-call="answer_call" data-again disabled=${state.isSending("answer_call", one.id)}
        onClick=${() => state.act({ action: "answer_call", case: one.id }, { isAgain: true })}>${t("call.do.take_back")} <kbd>⇧A</kbd></button>`,
      one.call?.number && button("call_back", "B", act("call_back"))];
    case "offered": return mine && button("withdraw_call", "W", act("withdraw_call"));
    case "calling": return mine && [
      button("connected", "Y", act("call_back_done", { connected: true }), true),
      button("unanswered", "X", act("call_back_done", { connected: false }))];
    case "talking": return mine && [
      button("hold_call", "O", act("hold_call")), !one.home && html`<${Offer} one=${one} state=${state} seat=${seat} />`,
      !one.call?.silent && button("mark_silent", "S", act("mark_silent")), button("end_call", "X", act("end_call"))];
    default: return null;
  }
}

/** Whether a call that was ended can go on: somebody reads there. @param {Case} one @param {ConsoleState} state */
function mayTakeBack(one, state) {
  const detail = state.detail.value;
  return !one.closed_ms && detail?.case === one.id && detail.talk.reader === "opened";
}

/** To which seat the call is given. @param {{one: Case, state: ConsoleState, seat: string}} props */
function Offer({ one, state, seat }) {
  const others = state.seats.value.filter((name) => name !== seat);
  return html`<label class="small muted">${t("call.do.offer_call")} <select name="offer" value="" disabled=${!others.length}
      onChange=${(/** @type {any} */ event) => event.target.value && state.act({ action: "offer_call", case: one.id, to: event.target.value })}>
    <option value="">${others.length ? "…" : t("call.no_other_seat")}</option>
    ${others.map((name) => html`<option value=${name}>${name}</option>`)}</select></label>`;
}

/** @param {{one: Case, state: ConsoleState}} props */
function GiveUp({ one, state }) {
  const reason = state.giveUp.value[one.id] ?? "";
  const send = () => reason.trim() && state.act({ action: "give_up_call", case: one.id, reason: reason.trim() });
  return html`<label class="small muted give-up" data-enter=${t("call.do.give_up_call")}>${t("call.give_up_why")} <input name="give_up" maxlength="4000" autocomplete="off" value=${reason}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => { if (event.key === "Enter" && !event.isComposing) send(); }}
      onInput=${(/** @type {any} */ event) => { state.giveUp.value = { ...state.giveUp.value, [one.id]: event.target.value }; }} />
    <button disabled=${!reason.trim()} onClick=${send}>${t("call.do.give_up_call")}</button></label>`;
}
