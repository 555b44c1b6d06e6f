/** Vital signs with age, validity and origin, and the live ECG. */
import { html } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";
import { EcgView } from "/static/shared/ecg_view.js";
import { ValueTile, band } from "/static/shared/value_tile.js";

/** @typedef {import("./state.js").TabletState} TabletState */
/** @typedef {import("./state.js").Sign} Sign */

/** Field, label, unit and the change that counts as one. */
const SINGLES = /** @type {const} */ ([
  ["heart_rate_per_min", "HR", "/min", 5],
  ["pulse_rate_per_min", "PR", "/min", 5],
  ["spo2_percent", "SpO₂", "%", 2],
  ["respiratory_rate_per_min", "RR", "/min", 2],
  ["etco2_mmhg", "EtCO₂", "mmHg", 3],
  ["temperature_celsius", "T", "°C", 0.3],
]);
const PAIRS = /** @type {const} */ ([["nibp", "NIBP"], ["abp", "ABP"]]);
/**
 * A cuff (NIBP) measures every few minutes: at the limit of the other vital signs every value would
 * be stale between two measurements. The console and the arrival board have the same limit.
 */
const CUFF_STALE_AFTER_S = 600;
/** Best validity first. */
const VALIDITIES = ["valid", "questionable", "invalid", "unavailable"];

/** @param {{state: TabletState}} props */
export function VitalsView({ state }) {
  const shown = state.ecg.shown.value;
  const mark = band({ synthetic: shown?.recording.origin === "synthetic" });
  return html`<div class="vitals-view">
    <${Tiles} state=${state} /><${Failures} state=${state} />
    <section class="card fill ecg-card ${mark.class}" data-band=${mark.word}>
      ${shown ? html`<${EcgView} key=${shown.recording.setup.setup_id} strip=${shown.feed.strip} />
          <p class="muted small ecg-source">${[
            shown.recording.device,
            shown.recording.origin === "replay" && t("origin.replay"),
            t(shown.recording.bound ? "patient.bound" : "patient.unassigned"),
            t(state.link.value?.live_ecg ? "vitals.ecg_out" : "vitals.ecg_kept"),
          ].filter(Boolean).join(" · ")}</p>`
        : html`<p class="empty-words muted">${t("vitals.no_ecg")}</p>`}</section></div>`;
}

/** @param {{state: TabletState}} props */
function Tiles({ state }) {
  const signs = state.vitals.value;
  const staleAfterS = state.unit.value?.stale_s.vitals;
  const tiles = [
    ...SINGLES.flatMap(([name, label, unit, step]) => (signs[name]
      ? [tile(name, label, unit, signs[name], signs[name].value, step, staleAfterS)] : [])),
    ...PAIRS.flatMap(([name, label]) => pair(name, label, signs, staleAfterS)),
  ];
  if (!tiles.length) return html`<p class="card muted">${t("vitals.none")}</p>`;
  return html`<div class="tiles">${tiles}</div>`;
}

/**
 * @param {string} name @param {string} label @param {string} unit @param {Sign} sign
 * @param {number | string | null} value @param {number} step @param {number | undefined} staleAfterS
 */
function tile(name, label, unit, sign, value, step, staleAfterS) {
  const figure = typeof value === "number" ? Math.round(value * 10) / 10 : value;
  return html`<${ValueTile} key=${name} label=${label} unit=${unit} value=${figure} atMs=${sign.at_ms}
    staleAfterS=${staleAfterS} validity=${sign.validity} reason=${sign.reason ?? undefined}
    origin=${sign.origin} history=${sign.history} trendStep=${step} />`;
}

/**
 * A pressure is read as one: both figures, the worse validity, the older time.
 * @param {string} name @param {string} label @param {Record<string, Sign>} signs
 * @param {number | undefined} staleAfterS
 */
function pair(name, label, signs, staleAfterS) {
  const high = signs[`${name}_systolic_mmhg`];
  const low = signs[`${name}_diastolic_mmhg`];
  if (!high || !low) return [];
  const worse = VALIDITIES.indexOf(low.validity) > VALIDITIES.indexOf(high.validity) ? low : high;
  const value = high.value === null || low.value === null ? null
    : `${Math.round(high.value)}/${Math.round(low.value)}`;
  const sign = { ...worse, at_ms: Math.min(high.at_ms, low.at_ms), history: high.history };
  return [tile(name, label, "mmHg", sign, value, 5, name === "nibp" ? CUFF_STALE_AFTER_S : staleAfterS)];
}

/** @param {{state: TabletState}} props */
function Failures({ state }) {
  const failed = state.sensors.value.filter((one) => one.state === "failed");
  return failed.map((one) => html`<p key=${one.name} class="failure" role="alert">
    <strong>${t("sensor.failed_named", { name: one.name })}</strong> ${one.reason}</p>`);
}
