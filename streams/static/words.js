/** Codes and quantities that several pages say alike. */
import { hasText, t } from "./i18n.js";

/**
 * The text of a code of a kind, such as "handed_over" of "outcome".
 * @param {string} kind @param {string} code @returns {string} the code itself where it is new to the page
 */
export function word(kind, code) {
  const key = `${kind}.${code}`;
  return hasText(key) ? t(key) : code;
}

/** @param {number | null} metres @returns {string} "120 m", "4.2 km"; empty while it is not known */
export function distance(metres) {
  if (metres === null) return "";
  return metres < 1000 ? `${Math.round(metres / 10) * 10} m` : `${(metres / 1000).toFixed(1)} km`;
}
