/** The vital signs of each patient of the case: a second patient is a second row, never the same tiles. */
import { html } from "/static/shared/view.js";
import { durationInWords, timeOfDay } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { ValueTile } from "/static/shared/value_tile.js";
import { VITAL_SIGNS, vitalSign } from "/static/shared/vital_signs.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Sign} Sign */

/** @param {{state: ConsoleState}} props */
export function VitalSigns({ state }) {
  const detail = state.detail.value;
  if (!detail?.patients.length) return html`<p class="no-vitals muted">${t("vitals.none")}</p>`;
  return html`${detail.patients.map(({ patient, signs, late }) => html`<section class="vitals" key=${patient ?? ""}>
    <h3 class="muted">${patient === null ? t("vitals.unassigned") : t("vitals.patient", { label: patient })}</h3>
    <div class="tiles">${VITAL_SIGNS.map((name) => html`<${Tile} key=${name} name=${name} signs=${signs}
      stale=${detail.vitals_stale_after_s} />`)}</div>
    ${late && html`<p class="muted small">${t("late.values", { from: timeOfDay(late.from_ms),
      until: timeOfDay(late.until_ms), late: durationInWords(late.most_ms) })}</p>`}</section>`)}`;
}

/** @param {{name: string, signs: Record<string, Sign>, stale: number}} props */
function Tile({ name, signs, stale }) {
  const sign = vitalSign(name, signs, stale);
  if (!sign) return null;
  const history = signs[sign.code].history.map(([atMs, value]) => ({ atMs, value }));
  return html`<${ValueTile} ...${sign.value} history=${history} />`;
}
