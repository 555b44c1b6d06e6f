/** The vital signs of each patient of the case: a second patient is a second row, never the same tiles. */
import { html } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";
import { ValueTile } from "/static/shared/value_tile.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Sign} Sign */

/** Signs in the order of a monitor, with the label of the field and the unit. */
const SIGNS = /** @type {const} */ ([
  ["heart_rate_per_min", "HR", "/min"],
  ["pulse_rate_per_min", "PR", "/min"],
  ["spo2_percent", "SpO₂", "%"],
  ["respiratory_rate_per_min", "RR", "/min"],
  ["etco2_mmhg", "EtCO₂", "mmHg"],
  ["temperature_celsius", "T", "°C"],
]);
const PRESSURES = /** @type {const} */ ([["nibp", "NIBP"], ["abp", "ABP"]]);

/** @param {{state: ConsoleState}} props */
export function VitalSigns({ state }) {
  const detail = state.detail.value;
  if (!detail?.patients.length) return html`<p class="no-vitals muted">${t("vitals.none")}</p>`;
  return html`${detail.patients.map(({ patient, signs }) => html`<section class="vitals" key=${patient ?? ""}>
    ${(detail.patients.length > 1 || patient) && html`<h3 class="muted">${patient ?? t("vitals.unassigned")}</h3>`}
    <div class="tiles">
      ${SIGNS.filter(([name]) => signs[name]).map(([name, label, unit]) => html`<${Tile} key=${name} label=${label}
        unit=${unit} sign=${signs[name]} stale=${detail.vitals_stale_after_s} />`)}
      ${PRESSURES.filter(([name]) => signs[`${name}_systolic_mmhg`]).map(([name, label]) => html`<${Pressure} key=${name}
        label=${label} name=${name} signs=${signs} stale=${detail.vitals_stale_after_s} />`)}
    </div></section>`)}`;
}

/** @param {{label: string, unit: string, sign: Sign, stale: number}} props */
function Tile({ label, unit, sign, stale }) {
  return html`<${ValueTile} label=${label} unit=${unit} value=${rounded(sign.value, unit)} atMs=${sign.at_ms}
    staleAfterS=${stale} validity=${sign.validity} reason=${sign.reason ?? undefined} origin=${sign.origin}
    history=${sign.history.map(([atMs, value]) => ({ atMs, value }))} />`;
}

/** @param {{label: string, name: string, signs: Record<string, Sign>, stale: number}} props */
function Pressure({ label, name, signs, stale }) {
  const systolic = signs[`${name}_systolic_mmhg`];
  const diastolic = signs[`${name}_diastolic_mmhg`];
  const value = systolic.value === null ? null
    : `${rounded(systolic.value, "")}/${diastolic?.value == null ? "–" : rounded(diastolic.value, "")}`;
  // A cuff measures every few minutes: its values age in words, they do not go stale like a pulse.
  return html`<${ValueTile} label=${label} unit="mmHg" value=${value} atMs=${systolic.at_ms}
    staleAfterS=${name === "nibp" ? 600 : stale} validity=${systolic.validity} reason=${systolic.reason ?? undefined}
    origin=${systolic.origin} history=${systolic.history.map(([atMs, found]) => ({ atMs, value: found }))} />`;
}

/** @param {number | null} value @param {string} unit */
function rounded(value, unit) {
  if (value === null) return null;
  return unit === "°C" ? value.toFixed(1) : Math.round(value);
}
