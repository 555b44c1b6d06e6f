/**
 * Severity of a case or a value after IEC 60601-1-8: shape, word and colour together.
 *
 *     html`<${Severity} level="high" />`              ▲ RED
 *     html`<article class="card ${levelClass(level)}">`
 *
 * ▲ act now (high, red), ◆ act soon (medium, yellow), ● be aware (low, cyan).
 */
import { html } from "./view.js";
import { t } from "./i18n.js";

/** @typedef {"high" | "medium" | "low" | "none"} Level */
/** Most urgent first; the place in it is the order of a board. @type {Level[]} */
export const LEVELS = ["high", "medium", "low", "none"];

/** @type {Record<Level, string>} paths in a box of 10 by 10 */
const SHAPES = {
  high: "M5 0.5 9.8 9.5H0.2Z",
  medium: "M5 0 10 5 5 10 0 5Z",
  low: "M5 0.5A4.5 4.5 0 1 1 5 9.5 4.5 4.5 0 1 1 5 0.5Z",
  none: "M1 4H9V6H1Z",
};

/**
 * The alarm level of a case's severity. Green is none: cyan would say "be aware" (IEC 60601-1-8), and
 * green has no meaning there.
 * @param {string | undefined} severity @returns {Level}
 */
export function levelOf(severity) {
  return severity === "red" ? "high" : severity === "yellow" ? "medium" : "none";
}

/**
 * The badge.
 * @param {{level: Level, word?: string, title?: string}} props `word` replaces RED, YEL, CYA
 */
export function Severity({ level, word, title }) {
  return html`<span class="severity ${levelClass(level)}"
    title=${title ?? t(`severity.${level}.meaning`)}>
    <${Shape} level=${level} />${word ?? t(`severity.${level}`)}</span>`;
}

/**
 * The shape alone, for tight places; the word must stand beside it.
 * @param {{level: Level}} props
 */
export function Shape({ level }) {
  return html`<svg viewBox="0 0 10 10" aria-hidden="true" class="shape ${level}">
    <path d=${SHAPES[level]} /></svg>`;
}

/**
 * @param {Level | undefined | null} level
 * @returns {string} the class for a card or a tile; empty for none
 */
export function levelClass(level) {
  return level && level !== "none" ? level : "";
}
