/** The keys of the console: the most used at the foot of the page, all of them in a sheet (key `?`). */
import { html } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";

/** @type {[string, string][]} what a shift needs without looking */
const OFTEN = [["A", "answer"], ["C", "place"], ["N", "new"], ["↑↓", "move"], ["U", "unit"], ["H", "hospital"], ["1–3", "pick"],
  ["⏎", "confirm"], ["E", "edit"], ["O", "hold"], ["X", "end"], ["T", "note"], ["Esc", "back"]];

/** @type {[string, [string, string][]][]} all keys, by what they are for */
const ALL = [
  ["calls", [["A", "answer"], ["⇧ A", "answer_shown"], ["O", "hold"], ["X", "end"], ["S", "silent"], ["B", "back_call"],
    ["Y", "connected"], ["D", "decline"], ["W", "withdraw"], ["P", "send_link"], ["I", "talk"], ["F8", "mic"], ["F9", "voice"], ["Z", "guide"]]],
  ["case", [["N", "new"], ["↑↓ J K", "move"], ["C", "place"], ["E", "edit"], ["L", "link"], ["T", "note"], ["F", "partner"], ["V", "video"], ["⇧ V", "caller_video"]]],
  ["send", [["U", "unit"], ["H", "hospital"], ["1–3", "pick"], ["4", "elsewhere"], ["⏎", "confirm"], ["Q", "grant"], ["R", "refuse"]]],
  ["incident", [["M", "incident"], ["G", "transport"]]],
  ["page", [["?", "all"], ["Esc", "back"]]],
];

/** @param {{key?: string, keys: [string, string][]}} props */
const Words = ({ keys }) => html`${keys.map(([key, name]) => html`<span class="key-line"><kbd>${key}</kbd> ${t(`key.${name}`)}</span>`)}`;

export function KeySheet() {
  return html`<footer class="keys small muted"><${Words} keys=${OFTEN} />
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
