/**
 * Texts of the pages, from message catalogues in English and Chinese.
 *
 * A catalogue is a flat JSON file `messages/<language>.json`: {"board.accept": "Accept", ...}, with
 * {name} where a value goes. A page loads the shared one and its own, once, before it draws:
 *
 *     await loadMessages("/static/page/messages/");         // the shared catalogue is loaded as well
 *     html`<button>${t("board.accept")}</button>`
 *
 * There is no plural: texts are worded so that none is needed ("inbound: 3"). The choice of language
 * is kept in the browser; without one the browser's own language decides. A component that calls `t`
 * is drawn again when the language changes. A key without text shows as the key: a hole that is seen.
 */
import { signal } from "./view.js";

/** @typedef {"en" | "zh-CN"} Language */
/** @type {Language[]} */
export const LANGUAGES = ["en", "zh-CN"];
const KEPT_AS = "forerun.language";
const SHARED = new URL("./messages/", import.meta.url).href;

/** @type {Record<string, Record<string, string>>} */
const catalogues = Object.fromEntries(LANGUAGES.map((name) => [name, {}]));

/** The language in use; set it with `setLanguage`. */
export const language = signal(/** @type {Language} */ (startLanguage()));

/** @returns {Language} */
function startLanguage() {
  const wanted = [new URLSearchParams(location.search).get("lang"), kept(), ...navigator.languages];
  for (const name of wanted) {
    if (name?.toLowerCase().startsWith("zh")) return "zh-CN";
    if (name?.toLowerCase().startsWith("en")) return "en";
  }
  return "en";
}

function kept() {
  try {
    return localStorage.getItem(KEPT_AS);
  } catch {
    return null; // storage may be forbidden on a locked-down wall display
  }
}

/**
 * Loads the shared catalogue and those of the page, in all languages, so that a switch is instant.
 * @param {...string} folders addresses that end in "messages/"
 * @returns {Promise<void>}
 */
export async function loadMessages(...folders) {
  // A page that came in one piece (streams/page_bundle.py) has its texts with it.
  const carried = /** @type {any} */ (globalThis).forerunMessages;
  if (carried) {
    for (const name of LANGUAGES) Object.assign(catalogues[name], carried[name]);
    document.documentElement.lang = language.value;
    return;
  }
  await addMessages(SHARED, ...folders);
  document.documentElement.lang = language.value;
}

/**
 * Loads more catalogues, of a part of a page that is loaded when it is wanted.
 * @param {...string} folders addresses that end in "messages/"
 * @returns {Promise<void>}
 */
export async function addMessages(...folders) {
  const wanted = folders.flatMap((folder) =>
    LANGUAGES.map(async (name) => {
      const answer = await fetch(new URL(`${name}.json`, new URL(folder, location.href)));
      if (!answer.ok) throw new Error(`no message catalogue at ${answer.url}: ${answer.status}`);
      Object.assign(catalogues[name], await answer.json());
    }),
  );
  await Promise.all(wanted);
}

/**
 * Switches the language of the page and keeps the choice.
 * @param {Language} name
 */
export function setLanguage(name) {
  if (!LANGUAGES.includes(name)) throw new RangeError(`no such language: ${name}`);
  try {
    localStorage.setItem(KEPT_AS, name);
  } catch {
    // kept for this visit only
  }
  document.documentElement.lang = name;
  language.value = name;
}

/**
 * The text of a key in the page's language.
 * @param {string} key
 * @param {Record<string, string | number>} [values] for the {names} in the text
 * @returns {string}
 */
export function t(key, values = {}) {
  const text = catalogues[language.value][key] ?? catalogues.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (hole, name) => String(values[name] ?? hole));
}

/** A text in a language that need not be the page's. @param {Language} name @param {string} key @returns {string} */
export const textIn = (name, key) => catalogues[name][key] ?? key;

/**
 * Whether a key has a text; for codes that come from elsewhere and may be new.
 * @param {string} key
 * @returns {boolean}
 */
export function hasText(key) {
  return key in catalogues[language.value] || key in catalogues.en;
}
