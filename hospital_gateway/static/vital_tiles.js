/**
 * The vital signs of a patient as tiles: which, in what order, and what stands together.
 */
import { html } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";
import { ValueTile } from "/static/shared/value_tile.js";

/** @typedef {import("./state.js").Case} Case */
/** @typedef {import("./state.js").Patient} Patient */
/** @typedef {import("./state.js").Reading} Reading */

/**
 * One tile: the first of `codes` that is there is shown (the newest where several are).
 * @typedef {{label: string, unit: string, codes: string[], pair?: Record<string, string>, step: number,
 *   always?: boolean}} TileKind
 */
/** @type {TileKind[]} */
export const TILES = [
  { label: "HR", unit: "/min", codes: ["heart_rate_per_min", "pulse_rate_per_min"], step: 5, always: true },
  {
    label: "BP", unit: "mmHg", codes: ["abp_systolic_mmhg", "nibp_systolic_mmhg"], step: 8, always: true,
    pair: { abp_systolic_mmhg: "abp_diastolic_mmhg", nibp_systolic_mmhg: "nibp_diastolic_mmhg" },
  },
  { label: "SpO₂", unit: "%", codes: ["spo2_percent"], step: 2, always: true },
  { label: "RR", unit: "/min", codes: ["respiratory_rate_per_min"], step: 3, always: true },
  { label: "EtCO₂", unit: "mmHg", codes: ["etco2_mmhg"], step: 3 },
  { label: "Temp", unit: "°C", codes: ["temperature_celsius"], step: 0.3 },
];

/**
 * A cuff (NIBP) measures every few minutes: at the limit of the other vital signs every value would
 * be stale between two measurements. The console and the tablet have the same limit.
 */
const CUFF_STALE_AFTER_S = 600;

/** @param {Patient} patient @param {string[]} codes @returns {string | undefined} the newest of them */
export function newestOf(patient, codes) {
  return codes.filter((code) => patient.vitals[code])
    .sort((a, b) => patient.vitals[b].at_ms - patient.vitals[a].at_ms)[0];
}

/**
 * @param {{one: Case, patient: Patient, staleS: number | undefined, size: "board" | "console",
 *   banded: string[], all?: boolean}} props `banded`: origins that the card's own band tells
 */
export function VitalTiles({ one, patient, staleS, size, banded, all = true }) {
  const shown = TILES.filter(({ codes, always }) => always || (all && newestOf(patient, codes)));
  return html`<div class="tiles">${shown.map((kind) => {
    const code = newestOf(patient, kind.codes);
    return html`<${Tile} key=${kind.label} kind=${kind} code=${code} one=${one} patient=${patient}
      staleS=${staleS} size=${size} banded=${banded} />`;
  })}</div>`;
}

/** @param {any} props */
function Tile({ kind, code, one, patient, staleS, size, banded }) {
  if (!code) {
    return html`<${ValueTile} label=${kind.label} unit=${kind.unit} value=${null} size=${size} />`;
  }
  /** @type {Reading} */
  const reading = patient.vitals[code];
  const origin = banded.includes(reading.origin) ? undefined : reading.origin;
  const reason = reading.unassigned
    ? [reading.reason, t("vitals.unassigned")].filter(Boolean).join(", ") : reading.reason;
  // A value that no patient is bound to is questionable, however well it was measured.
  const validity = reading.unassigned && (reading.validity ?? "valid") === "valid"
    ? "questionable" : reading.validity;
  return html`<${ValueTile} label=${kind.label} unit=${kind.unit} value=${figure(kind, code, patient)}
    atMs=${reading.at_ms} staleAfterS=${code.startsWith("nibp_") ? CUFF_STALE_AFTER_S : staleS} validity=${validity} reason=${reason} origin=${origin}
    history=${one.curve(patient, code)} trendStep=${kind.step} size=${size} />`;
}

/** @param {TileKind} kind @param {string} code @param {Patient} patient */
function figure(kind, code, patient) {
  const { value } = patient.vitals[code];
  if (value === null) return null;
  const other = kind.pair && patient.vitals[kind.pair[code]]?.value;
  return kind.pair ? `${rounded(value)}/${other == null ? "–" : rounded(other)}` : rounded(value);
}

/** As monitors show it: whole numbers, temperature with one decimal. @param {number} value */
function rounded(value) {
  return Number.isInteger(value) || Math.abs(value) >= 50 ? Math.round(value) : value.toFixed(1);
}
