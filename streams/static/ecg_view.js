/**
 * The ECG strip with its controls, scale and the words that it is information only.
 *
 *     html`<${EcgView} strip=${strip} />`                 patient's page
 *     html`<${EcgView} strip=${strip} controls=${false} />`   one lead on a card
 */
import { html, useEffect, useRef } from "./view.js";
import { timeOfDay } from "./clock.js";
import { Calipers } from "./ecg_calipers.js";
import { GAINS_MM_PER_MV, LAYOUTS, SPEEDS_MM_PER_S, isTwelveLead } from "./ecg_paper.js";
import { t } from "./i18n.js";

/** @typedef {import("./ecg_strip.js").EcgStrip} EcgStrip */

/** @param {{strip: EcgStrip, controls?: boolean}} props */
export function EcgView({ strip, controls = true }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  useEffect(() => strip.attach(/** @type {HTMLDivElement} */ (box.current)), [strip]);
  const frozen = strip.frozenAtMs.value;
  return html`<figure class="ecg ${frozen ? "frozen" : ""}">
    ${controls && html`<${Controls} strip=${strip} />`}
    <div class="ecg-sheet"><div ref=${box}></div>
      ${controls && html`<${Calipers} strip=${strip} />`}</div>
    <figcaption class="ecg-foot">
      ${frozen ? html`<strong>${t("ecg.frozen", { time: timeOfDay(frozen) })}</strong>` : null}
      <span class="number">${t("ecg.scale", { speed: strip.speed.value, gain: strip.gain.value })}</span>
      ${strip.offScale.value.length > 0
        && html`<span>${t("ecg.off_scale")}: ${strip.offScale.value.join(", ")}</span>`}
      <span>${t("ecg.information")}</span>
    </figcaption></figure>`;
}

/** @param {{strip: EcgStrip}} props */
function Controls({ strip }) {
  const modes = /** @type {const} */ (["sweep", "scroll"]);
  return html`<div class="ecg-controls">
    <${Choice} label=${t("ecg.speed")} unit="mm/s" options=${SPEEDS_MM_PER_S} of=${strip.speed} />
    <${Choice} label=${t("ecg.gain")} unit="mm/mV" options=${GAINS_MM_PER_MV} of=${strip.gain} />
    ${isTwelveLead(strip.leads) && html`<${Choice} label=${t("ecg.layout")} options=${LAYOUTS}
      of=${strip.layout} words=${(/** @type {string} */ name) => t(`ecg.layout.${name}`)} />`}
    <${Choice} options=${modes} of=${strip.mode}
      words=${(/** @type {string} */ name) => t(`ecg.mode.${name}`)} />
    <button aria-pressed=${strip.frozenAtMs.value > 0}
      onClick=${() => (strip.frozenAtMs.value ? strip.unfreeze() : strip.freeze())}>
      ${t(strip.frozenAtMs.value ? "ecg.resume" : "ecg.freeze")}</button>
  </div>`;
}

/**
 * Buttons of which one is pressed.
 * @param {{label?: string, unit?: string, options: readonly any[], of: {value: any},
 *   words?: (option: any) => string}} props
 */
function Choice({ label, unit, options, of, words = String }) {
  return html`<span class="choice" role="group" aria-label=${label}>
    ${options.map((option) => html`<button aria-pressed=${of.value === option}
      onClick=${() => { of.value = option; }}>${words(option)}</button>`)}
    ${unit && html`<span class="muted small">${unit}</span>`}</span>`;
}
