/**
 * The page's clock: the hub's time, not the browser's, and ages in words.
 *
 * A wall display may be minutes off. The server sends its own time with every state message
 * (`now_ms`, milliseconds since 1970); `heardServerTime` keeps the largest offset seen, which is
 * the one with the least delay on the way. Ages and the ECG's latency are counted against it.
 */
import { signal } from "./view.js";
import { language, t } from "./i18n.js";

/** How long an offset is trusted before a larger one may replace it, ms. */
const WINDOW_MS = 60_000;

let offsetMs = 0;
let offsetAtMs = -Infinity;

/** Ticks four times a second with the hub's time in ms; components that read it are redrawn. */
export const now = signal(Date.now());

/**
 * Takes the server's time as it arrives.
 * @param {number} serverMs milliseconds since 1970 when the message left the server
 * @param {number} [browserMs] the browser's clock on arrival
 */
export function heardServerTime(serverMs, browserMs = Date.now()) {
  const offset = serverMs - browserMs;
  // Delay on the way only ever makes the offset smaller: the largest one seen is the best.
  if (offset > offsetMs || browserMs - offsetAtMs > WINDOW_MS) {
    offsetMs = offset;
    offsetAtMs = browserMs;
  }
}

/** @returns {number} the hub's time, ms since 1970 */
export function serverNow() {
  return Date.now() + offsetMs;
}

setInterval(() => {
  now.value = serverNow();
}, 250);

/**
 * @param {number} ms a duration; negative counts as 0
 * @returns {string} in words of the page's language: "12 s old", "4 min old", "2 h old"
 */
export function ageInWords(ms) {
  return inWords("age", ms);
}

/**
 * @param {number} ms a duration; negative counts as 0
 * @returns {string} "12 s", "4 min", "2 h"
 */
export function durationInWords(ms) {
  return inWords("duration", ms);
}

/** @param {"age" | "duration"} kind @param {number} ms */
function inWords(kind, ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return t(`${kind}.seconds`, { count: seconds });
  if (seconds < 3600) return t(`${kind}.minutes`, { count: Math.floor(seconds / 60) });
  if (seconds < 86_400) return t(`${kind}.hours`, { count: Math.floor(seconds / 3600) });
  return t(`${kind}.days`, { count: Math.floor(seconds / 86_400) });
}

/**
 * @param {number} ms a duration; negative gets a minus sign
 * @returns {string} "06:20" or "1:06:20", as ETAs and waiting times are written
 */
export function countdown(ms) {
  const total = Math.floor(Math.abs(ms) / 1000);
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const hours = Math.floor(total / 3600);
  const rest = `${two(Math.floor((total % 3600) / 60))}:${two(total % 60)}`;
  return (ms < 0 && total > 0 ? "−" : "") + (hours ? `${hours}:${rest}` : rest);
}

/**
 * @param {number} ms since 1970
 * @returns {string} local time of day with seconds, 24 hours: "21:47:03"
 */
export function timeOfDay(ms) {
  return new Date(ms).toLocaleTimeString("en-GB", { hour12: false });
}

/**
 * @param {number} ms since 1970
 * @returns {string} local date and time in the page's language
 */
export function dateAndTime(ms) {
  return new Date(ms).toLocaleString(language.value, { hour12: false });
}
