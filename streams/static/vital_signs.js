/**
 * Vital signs as every page shows them: order, label, unit, rounding, and when one is stale.
 *
 *     for (const name of VITAL_SIGNS) {
 *       const tile = vitalSign(name, signs, staleAfterS);          // null while it was never measured
 *       if (tile) html`<${ValueTile} ...${tile.value} history=${curve(tile.code)} />`
 *     }
 */

/** @typedef {import("./value_tile.js").ValueProps} ValueProps */
/** @typedef {import("./value_tile.js").Validity} Validity */
/**
 * A reading as the servers tell it; `at_ms` is the source's time in the hub's clock.
 * @typedef {{value: number | null, at_ms: number, validity?: Validity, reason?: string | null,
 *   origin: import("./value_tile.js").Origin}} Reading
 */

/** Label, unit, the change that counts as one, decimals. @type {Record<string, [string, string, number, number]>} */
const KINDS = {
  heart_rate_per_min: ["HR", "/min", 5, 0],
  pulse_rate_per_min: ["PR", "/min", 5, 0],
  spo2_percent: ["SpO₂", "%", 2, 0],
  respiratory_rate_per_min: ["RR", "/min", 3, 0],
  etco2_mmhg: ["EtCO₂", "mmHg", 3, 0],
  temperature_celsius: ["Temp", "°C", 0.3, 1],
  nibp: ["NIBP", "mmHg", 8, 0],
  abp: ["ABP", "mmHg", 8, 0],
};
/** In the order of a monitor: the code of a single value, or the stem of a pressure. */
export const VITAL_SIGNS = Object.keys(KINDS);
/** Stems whose systolic and diastolic value are read as one. */
const PRESSURES = ["nibp", "abp"];
/**
 * A cuff (NIBP) measures every few minutes: at the limit of the other vital signs every value would
 * be stale between two measurements.
 */
const CUFF_STALE_AFTER_S = 600;
/** Best first. @type {Validity[]} */
const VALIDITIES = ["valid", "questionable", "invalid", "unavailable"];

/**
 * One vital sign for a tile, or null if it was never measured.
 * @param {string} name of VITAL_SIGNS
 * @param {Record<string, Reading>} signs by code
 * @param {number | undefined} staleAfterS limit of the topic
 * @returns {{code: string, value: ValueProps} | null} `code`: whose course the tile's curve shows
 */
export function vitalSign(name, signs, staleAfterS) {
  const isPair = PRESSURES.includes(name);
  const code = isPair ? `${name}_systolic_mmhg` : name;
  const first = signs[code];
  if (!first) return null;
  const [label, unit, trendStep, decimals] = KINDS[name];
  const second = isPair ? signs[`${name}_diastolic_mmhg`] : undefined;
  const said = second && rank(second) > rank(first) ? second : first;
  return { code, value: {
    label, unit, trendStep,
    value: isPair ? pair(first.value, second?.value ?? null) : rounded(first.value, decimals),
    atMs: Math.min(first.at_ms, second?.at_ms ?? Infinity),
    staleAfterS: name === "nibp" ? CUFF_STALE_AFTER_S : staleAfterS,
    validity: said.validity, reason: said.reason ?? undefined, origin: said.origin,
  } };
}

/** @param {Reading} reading */
function rank({ validity = "valid" }) {
  return VALIDITIES.indexOf(validity);
}

/** A pressure without its systolic value is none. @param {number | null} systolic @param {number | null} diastolic */
function pair(systolic, diastolic) {
  return systolic === null ? null : `${rounded(systolic, 0)}/${rounded(diastolic, 0) ?? "–"}`;
}

/** @param {number | null} value @param {number} decimals */
function rounded(value, decimals) {
  return value === null ? null : value.toFixed(decimals);
}
