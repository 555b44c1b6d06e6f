/** The keyboard: one key for each thing that is done often; typing in a field is never disturbed. */

import { nextCall } from "./call_order.js";
import { askNext } from "./incident.js";
import { areKeysShown, showKeys } from "./key_sheet.js";
import { openPartner, partnerKey } from "./partner_form.js";
import { speech } from "./speech.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */

/** Keys of what the shown call's buttons do. */
const CALL_KEYS = /** @type {Record<string, string>} */ ({
  o: "hold_call", s: "mark_silent", x: "end_call", b: "call_back", w: "withdraw_call", d: "decline_call", y: "connected", p: "send_link",
});

/** @param {ConsoleState} state */
export function listenToKeys(state) {
  addEventListener("keydown", (event) => {
    if (areKeysShown()) return; // the sheet closes itself by Esc
    if (event.key === "Escape") return back(state);
    if (switched(state, event)) return event.preventDefault(); // also while something is typed
    if (event.ctrlKey || event.metaKey || event.altKey || isTheirs(event.target, event.key)) return;
    if (event.repeat && event.key === "Enter") return; // held down, it would answer what it has just asked
    const done = handle(state, event.key);
    if (done) event.preventDefault();
  });
}

/** The bridge's two switches, and the way to what waits for a look. @param {ConsoleState} state @param {KeyboardEvent} event @returns {boolean} */
function switched(state, event) {
  if (event.repeat || !["F2", "F8", "F9"].includes(event.key)) return false;
  if (event.key === "F2") return focus("[data-key=say-heard]");
  if (event.key === "F9") speech.toggleVoice();
  else {
    const one = state.case.value;
    speech.toggleMic(one && !one.home && !one.closed_ms && one.call ? one.id : undefined);
  }
  return true;
}

/** @param {ConsoleState} state @param {string} key @returns {boolean} whether the key meant something */
function handle(state, key) {
  if (state.question.value?.kind === "partner" && key !== "Enter") {
    partnerKey(key.toLowerCase());
    return true; // a key that means something else beside this form means nothing here
  }
  switch (key.toLowerCase()) {
    case "n": state.isOpening.value = true; return true;
    case "arrowdown": case "j": return move(state, 1);
    case "arrowup": case "k": return move(state, -1);
    case "u": return ask(state, "unit", 0);
    case "h": return ask(state, "hospital", 0);
    case "1": case "2": case "3": return pick(state, Number(key) - 1);
    case "4": return press("[data-elsewhere]");
    case "q": return press("[data-key=grant]");
    case "r": return focus("[data-key=refuse]");
    case "enter": return press("[data-confirm]");
    case "a": return answer(state, key === "A");
    case "c": return press("[data-key=confirm-place]");
    case "l": return press("[data-key=link]");
    case "e": return press("[data-key=edit]");
    case "t": return focus("[data-key=note]");
    case "f": return openPartner(state);
    case "v": return press(key === "V" ? "[data-key=caller-video]:not(:disabled)" : "[data-key=video]");
    case "m": return focus("input[data-key=incident]") || press("button[data-key=incident]");
    case "z": return focus(".guide-keys", true) || press("[data-key=guide]");
    case "i": return focus("[data-key=talk]");
    case "g": return askNext(state);
    case "?": return showKeys();
    default: return press(`[data-call=${CALL_KEYS[key.toLowerCase()] ?? "none"}]:not(:disabled)`)
      || (key.toLowerCase() === "x" && press("[data-call=unanswered]"));
  }
}

/**
 * Takes the next call, as the queue stands; with the shift key the one that is shown, out of its turn.
 * @param {ConsoleState} state @param {boolean} isShown
 */
function answer(state, isShown) {
  if (state.isSending("answer_call")) return true; // one at a time, however long the key is held
  const { seat } = state.about.value;
  const next = isShown ? null : nextCall(state.queue.value, seat) ?? nextCall(state.districts.queue.value, seat);
  if (next) return state.act({ action: "answer_call", case: next.id });
  const again = isShown ? "" : ":not([data-again])"; // a call that was ended is taken back on purpose only
  return press(`[data-call=answer_call]:not(:disabled)${again}`);
}

/** Closes what is open, one thing at a time; what was typed stays. @param {ConsoleState} state */
function back(state) {
  const field = document.activeElement?.matches("input:not([type=checkbox]), textarea") ? document.activeElement : null;
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
  if (field?.closest(".question")) return; // first out of the field, then out of the question
  if (state.question.value) state.question.value = null;
  else if (state.editing.value) state.editing.value = null;
  else if (state.isOpening.value) state.isOpening.value = false;
  else state.problem.value = null;
}

/** @param {ConsoleState} state @param {number} by */
function move(state, by) {
  const queue = [...state.queue.value, ...state.districts.queue.value];
  const at = queue.findIndex((one) => one.id === state.selected.value);
  const next = queue[Math.min(queue.length - 1, Math.max(0, at + by))];
  if (next) {
    state.isOpening.value = false;
    state.select(next.id);
  }
  return true;
}

/**
 * Asks whether to send a unit or choose a hospital: the recommended one, or another of the list.
 * @param {ConsoleState} state @param {"unit" | "hospital"} kind @param {number} index
 */
export function ask(state, kind, index) {
  const found = state.suggestions.value?.[kind === "unit" ? "units" : "hospitals"][index];
  if (found && state.case.value && !state.case.value.closed_ms && !state.isOpening.value) {
    state.question.value = { kind, name: found.name };
  }
  return true;
}

/** @param {ConsoleState} state @param {number} index */
function pick(state, index) {
  // Its answers have these keys too: where the focus was lost, a blind 1 and Enter would send a unit.
  if (!state.question.value && focus(".guide-keys", true)) return true;
  const one = state.case.value;
  const kind = state.question.value?.kind ?? (one && one.unit ? "hospital" : "unit");
  return kind === "unit" || kind === "hospital" ? ask(state, kind, index) : false;
}

/**
 * Whether a key is for what has the focus: all are in a field; a button takes those that press it.
 * @param {EventTarget | null} target @param {string} key
 */
function isTheirs(target, key) {
  if (!(target instanceof Element)) return false;
  if (target.closest("input, textarea, select, [contenteditable]")) return true;
  return (key === "Enter" || key === " ") && target.closest("button, summary, a") !== null && !target.closest(".queue");
}

/** @param {string} selector */
function press(selector) {
  const found = /** @type {HTMLElement | null} */ (document.querySelector(selector));
  found?.click();
  return found !== null;
}

/** @param {string} selector @param {boolean} [isWhole] whether all of it is to be seen, as far as there is room */
function focus(selector, isWhole = false) {
  const found = /** @type {HTMLElement | null} */ (document.querySelector(selector));
  found?.focus();
  if (isWhole) found?.closest("section")?.scrollIntoView({ block: "nearest" });
  return found !== null;
}
