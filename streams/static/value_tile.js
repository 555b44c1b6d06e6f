/**
 * A value is never alone: number, unit, age, validity, trend, origin.
 *
 *     html`<${ValueTile} label="HR" unit="/min" value=${118} atMs=${sourceTimeMs} staleAfterS=${10}
 *            validity="valid" origin="live" level="medium" history=${[{atMs, value}, …]} />`
 *
 * fresh        solid figures
 * stale        hollow figures, a clock sign and the age in words ("4 min old")
 * questionable figures with "?", and why
 * invalid      struck figures, and the device's reason
 * unavailable  a dash, and why
 * synthetic or drill: "banded" with the word, here or on the whole card (`band`, below).
 *
 * The age counts from the source's time (corrected to the hub's clock), not from arrival.
 */
import { html } from "./view.js";
import { ageInWords, now } from "./clock.js";
import { t } from "./i18n.js";
import { Shape, levelClass } from "./severity.js";
import { Sparkline, TrendArrow } from "./trend.js";

/** @typedef {"valid" | "questionable" | "invalid" | "unavailable"} Validity */
/** @typedef {"live" | "replay" | "synthetic"} Origin */
/** @typedef {import("./trend.js").Point} Point */

/**
 * @typedef {object} ValueProps
 * @property {string} label the field's own short name: "HR", "SpO₂"
 * @property {string | undefined} [unit] "/min", "mmHg", "%"
 * @property {number | string | null | undefined} value as it is to be shown; "88/52" for a pair
 * @property {number | null | undefined} [atMs] source time in the hub's clock, ms since 1970
 * @property {number} [staleAfterS] the topic's staleness limit; without one the value never goes stale
 * @property {Validity} [validity]
 * @property {string} [reason] the device's words for a validity other than valid
 * @property {Origin} [origin]
 * @property {import("./severity.js").Level} [level] alarm level of this value
 * @property {Point[]} [history] oldest first; makes the arrow and the small curve
 * @property {number} [trendStep] the change that counts as one, in the value's unit
 * @property {"small" | "console" | "board"} [size]
 * @property {boolean} [sparkline] default: when there is history, except in small tiles
 */

/** @param {ValueProps} props */
export function ValueTile(props) {
  const { label, unit, size = "console", level, origin, history = [], reason } = props;
  const state = stateOf(props, now.value);
  const alarm = state === "fresh" || state === "questionable" ? levelClass(level) : "";
  const showCurve = (props.sparkline ?? size !== "small") && history.length > 1;
  const band = origin === "synthetic" && size !== "small" ? "banded" : "";
  return html`<div class="tile ${size} ${state} ${alarm} ${band}"
      data-band=${band ? t("origin.synthetic") : undefined}>
    <div class="tile-label">${alarm && html`<${Shape} level=${level} />`}${label}
      ${unit && html`<span class="tile-unit">${unit}</span>`}</div>
    <div class="tile-figure"><span class="tile-number number ${String(props.value).length > 5 ? "long" : ""}">${figure(props, state)}</span>
      ${state === "fresh" && html`<${TrendArrow} history=${history} step=${props.trendStep} />`}</div>
    ${showCurve && html`<${Sparkline} history=${history} label=${label} />`}
    <div class="tile-note">${note(props, state, reason)}</div>
  </div>`;
}

/**
 * What is true of a value now.
 * @param {ValueProps} props
 * @param {number} nowMs
 * @returns {"fresh" | "stale" | "questionable" | "invalid" | "unavailable"}
 */
export function stateOf({ value, atMs, staleAfterS, validity = "valid" }, nowMs) {
  if (validity === "unavailable" || value === null || value === undefined) return "unavailable";
  if (validity === "invalid") return "invalid";
  if (staleAfterS !== undefined && atMs != null && nowMs - atMs > staleAfterS * 1000) return "stale";
  return validity === "questionable" ? "questionable" : "fresh";
}

/** @param {ValueProps} props @param {string} state */
function figure({ value }, state) {
  if (state === "unavailable") return "–";
  if (state === "invalid") return html`<s>${value}</s>`;
  if (state === "questionable") return html`${value}<span aria-hidden="true">?</span>`;
  return value;
}

/** The line under the figure. @param {ValueProps} props @param {string} state @param {string} [reason] */
function note({ atMs, origin, size }, state, reason) {
  const age = atMs == null ? "" : ageInWords(now.value - atMs);
  const words = [];
  if (state !== "fresh" && state !== "stale") {
    words.push(reason ? t(`value.${state}_because`, { reason }) : t(`value.${state}`));
  }
  if (age && state !== "unavailable") words.push(age);
  // The band of a synthetic value has its own word, but small tiles have no band.
  if (origin === "replay" || (origin === "synthetic" && size === "small")) {
    words.push(t(`origin.${origin}`));
  }
  const text = words.join(" · ");
  return state === "stale" ? html`<${ClockSign} /> <strong>${text}</strong>` : text;
}

function ClockSign() {
  return html`<svg class="clock-sign" viewBox="0 0 12 12" aria-hidden="true"><circle cx="6" cy="6"
    r="5" fill="none" stroke="currentColor" stroke-width="1.5" /><path d="M6 3V6L8 7.5" fill="none"
    stroke="currentColor" stroke-width="1.5" /></svg>`;
}

/**
 * Attributes that lay the striped band over a whole card:
 *     html`<article class="card ${band(case).class}" data-band=${band(case).word}>`
 * @param {{synthetic?: boolean, drill?: boolean}} what
 * @returns {{class: string, word: string | undefined}}
 */
export function band({ synthetic, drill }) {
  const words = [drill && t("origin.drill"), synthetic && t("origin.synthetic")].filter(Boolean);
  return words.length ? { class: "banded", word: words.join(" · ") } : { class: "", word: undefined };
}
