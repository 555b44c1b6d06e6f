/** The keys of the console: the most used at the foot of the page, all of them in a sheet (key `?`). */
import { effect, html, signal } from "/static/shared/view.js";
import { now } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";

/** @type {[string, string][]} what a shift needs without looking */
const OFTEN = [["A", "answer"], ["C", "place"], ["N", "new"], ["↑↓", "move"], ["U", "unit"], ["H", "hospital"], ["1–3", "pick"],
  ["E", "edit"], ["O", "hold"], ["X", "end"], ["T", "note"], ["Esc", "back"]];

/** @type {[string, string][]} while the guide has the focus; Esc leaves it */
const GUIDE = [["1–4", "guide_answer"], ["⏎", "guide_go"], ["⌫", "guide_back"], ["S", "guide_skip"], ["G", "guide_other"],
  ["T", "guide_set"], ["F", "guide_shock"], ["R", "guide_rescuer"], ["⇧ F ⇧ R", "guide_take_back"], ["E", "guide_end"], ["Esc", "back"]];

/** @type {[string, [string, string][]][]} all keys, by what they are for */
const ALL = [
  ["calls", [["A", "answer"], ["⇧ A", "answer_shown"], ["⇧ A", "take_back"], ["O", "hold"], ["X", "end"], ["S", "silent"], ["B", "back_call"],
    ["Y", "connected"], ["D", "decline"], ["W", "withdraw"], ["P", "send_link"], ["I", "talk"], ["F8", "mic"], ["F9", "voice"], ["F2", "look_heard"], ["Z", "guide"]]],
  ["case", [["N", "new"], ["↑↓ J K", "move"], ["C", "place"], ["E", "edit"], ["L", "link"], ["T", "note"], ["F", "partner"], ["V", "video"], ["⇧ V", "caller_video"]]],
  ["send", [["U", "unit"], ["H", "hospital"], ["1–3", "pick"], ["4", "elsewhere"], ["⏎", "confirm"], ["Q", "grant"], ["R", "refuse"]]],
  ["guide", GUIDE],
  ["incident", [["M", "incident"], ["G", "transport"]]],
  ["page", [["?", "all"], ["Esc", "back"]]],
];

/** @param {{key?: string, keys: [string, string][]}} props */
const Words = ({ keys }) => html`${keys.map(([key, name]) => html`<span class="key-line"><kbd>${key}</kbd> ${t(`key.${name}`)}</span>`)}`;

/** What Enter would do now, in the words of what has the focus; it follows that, and looks again each second. */
const enter = signal("");
/** Whether keys are the guide's now: they mean something else there. */
const isGuiding = signal(false);
const lookAtEnter = () => requestAnimationFrame(() => {
  enter.value = enterWords();
  isGuiding.value = document.activeElement?.matches(".guide-keys") ?? false;
});

function enterWords() {
  const at = document.activeElement;
  const pressed = at?.closest(".queue") ? null : at?.closest("button, summary, a");
  const field = at?.closest("[data-enter]");
  if (field instanceof HTMLElement && (!pressed || pressed === field)) return field.dataset.enter ?? "";
  const isElsewhere = at?.matches("input, textarea, select") && !at.closest(".question");
  const found = pressed ?? (isElsewhere ? null : document.querySelector("[data-confirm]:not(:disabled)"));
  return [...found?.childNodes ?? []].filter((node) => node.nodeName !== "KBD").map((node) => node.textContent).join("").trim();
}

for (const name of ["focusin", "focusout", "keyup", "click"]) addEventListener(name, lookAtEnter);
new MutationObserver(lookAtEnter).observe(document.documentElement, { subtree: true, attributes: true, attributeFilter: ["data-enter", "disabled"] });
effect(() => {
  now.value;
  lookAtEnter();
});

function EnterHint() {
  return html`<span class="key-line enter-hint"><kbd>⏎</kbd> <strong class="clip">${enter.value || t("key.enter_nothing")}</strong></span>`;
}

export function KeySheet() {
  return html`<footer class="keys small muted"><${EnterHint} /><${Words} keys=${isGuiding.value ? GUIDE : OFTEN} />
      <button class="small" onClick=${showKeys} aria-haspopup="dialog"><kbd>?</kbd> ${t("key.all")}</button></footer>
    <dialog class="key-sheet" aria-label=${t("key.all")}>
      <div class="key-groups">${ALL.map(([group, keys]) => html`<section><h2>${t(`key.group.${group}`)}</h2><${Words} keys=${keys} /></section>`)}</div>
      <form method="dialog"><button class="main">${t("key.close")} <kbd>Esc</kbd></button></form>
    </dialog>`;
}

/** Shows all keys; while they are shown, Esc and Enter close them and no other key does anything. */
export function showKeys() {
  const sheet = /** @type {HTMLDialogElement | null} */ (document.querySelector("dialog.key-sheet"));
  if (sheet && !sheet.open) sheet.showModal();
  return true;
}

/** @returns {boolean} whether the sheet lies over the page */
export const areKeysShown = () => document.querySelector("dialog.key-sheet[open]") !== null;
