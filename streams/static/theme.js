/**
 * Dark or light, and the buttons for theme and language.
 *
 * A page states its own start value in <html data-theme="light">; the choice of a person is kept.
 * `?theme=dark` in the address is for screenshots and wall displays.
 */
import { html, signal } from "./view.js";
import { LANGUAGES, language, setLanguage, t } from "./i18n.js";

/** @typedef {"dark" | "light"} Theme */
const KEPT_AS = "forerun.theme";
const root = document.documentElement;

/** The theme in use; set it with `setTheme`. Canvases redraw themselves by reading it. */
export const theme = signal(/** @type {Theme} */ (startTheme()));
root.dataset.theme = theme.value;

/** @returns {Theme} */
function startTheme() {
  const asked = new URLSearchParams(location.search).get("theme");
  let kept = null;
  try {
    kept = localStorage.getItem(KEPT_AS + location.pathname);
  } catch {
    // storage may be forbidden
  }
  const name = asked ?? kept ?? root.dataset.theme;
  return name === "light" ? "light" : "dark";
}

/** @param {Theme} name */
export function setTheme(name) {
  root.dataset.theme = name;
  try {
    localStorage.setItem(KEPT_AS + location.pathname, name);
  } catch {
    // kept for this visit only
  }
  theme.value = name;
}

/** Reads a token's value, for drawing on a canvas. @param {string} name such as "--text" */
export function token(name) {
  return getComputedStyle(root).getPropertyValue(name).trim();
}

/** Two small buttons: the other theme, the other language. */
export function Preferences() {
  const other = theme.value === "dark" ? "light" : "dark";
  return html`<span class="preferences">
    <button title=${t("theme.label")} onClick=${() => setTheme(other)}>${t(`theme.${other}`)}</button>
    ${LANGUAGES.filter((name) => name !== language.value).map(
      (name) => html`<button lang=${name} title=${t("language.label")}
        onClick=${() => setLanguage(name)}>${t(`language.${name}`)}</button>`,
    )}</span>`;
}
