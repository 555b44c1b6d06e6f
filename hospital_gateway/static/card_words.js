/**
 * A patient in words: the headline concern first, then who, then when.
 */
import { t } from "/static/shared/i18n.js";
import { word } from "/static/shared/words.js";
import { countdown } from "/static/shared/clock.js";

/** @typedef {import("./state.js").Card} Card */
/** @typedef {import("./state.js").Patient} Patient */
/** @typedef {import("./state.js").Eta} Eta */

const RANK = { red: 0, yellow: 1, green: 2, unknown: 3 };
/** Vital signs on a card, in this order. Pairs and stand-ins are made in vital_tiles.js. */
const STAGES = ["handed_over", "arrived", "departed", "patient_contact", "on_scene", "en_route"];

/** The badge's word for a severity. @param {string} severity @returns {string} */
export function severityWord(severity) {
  return t(`severity_word.${severity}`);
}

/** @param {Card} card @param {Patient} patient @returns {string} */
export function headline(card, patient) {
  const { pathway, text, label } = patient;
  if (label === null && card.patients.length > 1) return t("headline.unassigned");
  if (pathway && pathway !== "other") return t(`pathway.${pathway}`);
  return text || card.complaint || t("headline.none");
}

/** What else was said, if the headline does not say it. @param {Card} card @param {Patient} patient */
export function detail(card, patient) {
  const title = headline(card, patient);
  return [patient.text, card.complaint].filter((words) => words && words !== title).join(" · ");
}

/** @param {Pick<Patient, "sex" | "age_years" | "age_is_estimate">} patient @returns {string} "M ~60", "F 82", "unknown sex, unknown age" */
export function sexAndAge({ sex, age_years: age, age_is_estimate: estimated }) {
  const years = age === null ? t("age.unknown") : `${estimated ? "~" : ""}${age}`;
  return `${t(`sex.${sex}`)} ${years}`;
}

/** @param {Card} card @param {Patient} patient @returns {string} */
export function nameOf(card, patient) {
  return card.patients.length > 1 && patient.label !== null
    ? t("patient.numbered", { alias: card.alias, label: patient.label }) : card.alias;
}

/** The assigned unit as people call it. @param {Card} card @returns {string | undefined} */
export function unitName({ units: [unit], unit_names: names }) {
  return unit && (names[unit] ?? unit);
}

/** The last stage that the crew stamped. @param {Card} card @returns {string | null} */
export function stageOf(card) {
  return STAGES.find((stage) => stage in card.milestones) ?? null;
}

/** @param {string} role @returns {string} */
export function roleWord(role) {
  return word("role", role);
}

/** @param {string} need @returns {string} */
export function needWord(need) {
  return word("need", need);
}

/** @param {Eta | null} eta @param {number} nowMs @returns {string} "06:20", "−01:10" when overdue */
export function etaFigure(eta, nowMs) {
  return eta ? countdown(eta.at_ms - nowMs) : "– –";
}

/**
 * The band over a card: drill, synthetic or recorded data, never to be taken for a patient now.
 * @param {Card} card @param {Patient} patient
 * @returns {{class: string, word: string | undefined, origins: string[]}}
 */
export function originBand(card, patient) {
  const origins = [...new Set([card.origin, ...patient.origins])].filter((name) => name !== "live");
  const words = [card.drill && t("origin.drill"), ...origins.map((name) => t(`origin.${name}`))];
  const said = words.filter(Boolean);
  return { class: said.length ? "banded" : "", word: said.join(" · ") || undefined, origins };
}

/**
 * One row of the board: a patient of a case.
 * @typedef {{key: string, one: import("./state.js").Case, card: Card, patient: Patient, eta: Eta | null}} Row
 */

/**
 * Patients on the way, most urgent first, then who comes first; the rule of hospital_gateway/cards.py.
 * @param {Iterable<import("./state.js").Case>} cases
 * @returns {Row[]}
 */
export function rowsOf(cases) {
  /** @type {Row[]} */
  const rows = [];
  for (const one of cases) {
    const card = one.card.value;
    const eta = one.eta.value;
    for (const patient of card.patients) {
      rows.push({ key: `${card.case}/${patient.label ?? ""}`, one, card, patient, eta });
    }
  }
  const at = (/** @type {Row} */ row) => row.eta?.at_ms ?? Infinity;
  return rows.sort((a, b) => RANK[a.patient.severity] - RANK[b.patient.severity]
    || (at(a) === at(b) ? 0 : at(a) - at(b)) || (a.key < b.key ? -1 : 1));
}
