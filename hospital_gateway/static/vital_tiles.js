/**
 * The vital signs of a patient as tiles: which, in what order, and what stands together.
 */
import { html } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";
import { ValueTile } from "/static/shared/value_tile.js";
import { vitalSign } from "/static/shared/vital_signs.js";

/** @typedef {import("./state.js").Case} Case */
/** @typedef {import("./state.js").Patient} Patient */
/** @typedef {import("./state.js").Reading} Reading */

/**
 * One tile: of the vital signs `names` the newest is shown, by its own name; `label` is for none yet.
 * @typedef {{label: string, unit: string, names: string[], always?: boolean}} TileKind
 */
/** @type {TileKind[]} */
const TILES = [
  { label: "HR", unit: "/min", names: ["heart_rate_per_min", "pulse_rate_per_min"], always: true },
  { label: "BP", unit: "mmHg", names: ["abp", "nibp"], always: true },
  { label: "SpO₂", unit: "%", names: ["spo2_percent"], always: true },
  { label: "RR", unit: "/min", names: ["respiratory_rate_per_min"], always: true },
  { label: "EtCO₂", unit: "mmHg", names: ["etco2_mmhg"] },
  { label: "Temp", unit: "°C", names: ["temperature_celsius"] },
];

/** @param {Patient} patient @param {string[]} codes @returns {string | undefined} the newest of them */
export function newestOf(patient, codes) {
  return codes.filter((code) => patient.vitals[code])
    .sort((a, b) => patient.vitals[b].at_ms - patient.vitals[a].at_ms)[0];
}

/**
 * @param {{one: Case, patient: Patient, staleS: number | undefined, size: "board" | "console",
 *   banded: string[]}} props `banded`: origins that the card's own band tells
 */
export function VitalTiles({ one, patient, staleS, size, banded }) {
  const signs = Object.fromEntries(Object.entries(patient.vitals).map(([code, reading]) => [code, bound(reading)]));
  return html`<div class="tiles">${TILES.map(({ label, unit, names, always }) => {
    const [sign] = names.flatMap((name) => vitalSign(name, signs, staleS) ?? [])
      .sort((a, b) => Number(b.value.atMs) - Number(a.value.atMs));
    if (!sign) return always && html`<${ValueTile} key=${label} label=${label} unit=${unit} value=${null} size=${size} />`;
    const { value } = sign;
    const origin = banded.includes(value.origin ?? "live") ? undefined : value.origin;
    return html`<${ValueTile} key=${label} ...${value} origin=${origin}
      history=${one.curve(patient, sign.code)} size=${size} />`;
  })}</div>`;
}

/** A value that no patient is bound to is questionable, however well it was measured. @param {Reading} reading */
function bound(reading) {
  if (!reading.unassigned) return reading;
  const validity = reading.validity ?? "valid";
  return { ...reading, validity: validity === "valid" ? "questionable" : validity,
    reason: [reading.reason, t("vitals.unassigned")].filter(Boolean).join(", ") };
}
