/**
 * What the hospital does not get of picture, sound and live ECG while the link is narrow, and why.
 */
import { html } from "/static/shared/view.js";
import { timeOfDay } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { qualityWords } from "/static/shared/quality_words.js";

/** @param {{state: import("./state.js").TabletState}} props */
export function QualityNote({ state }) {
  const quality = state.quality.value;
  if (!quality || !state.link.value?.connected) return null; // no link is no narrow one
  const { full, what, why } = qualityWords(quality.said);
  if (full) return null;
  return html`<div class="narrow-link small live" role="status"><strong>${t("quality.label")}</strong>${" "}
    ${t("quality.since", { time: timeOfDay(quality.since_ms) })}: ${what} (${why}). ${t("quality.kept")}</div>`;
}
