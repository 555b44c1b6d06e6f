/** Vital signs with age, validity and origin, and the live ECG. */
import { html } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";
import { EcgView } from "/static/shared/ecg_view.js";
import { ValueTile, band } from "/static/shared/value_tile.js";
import { VITAL_SIGNS, vitalSign } from "/static/shared/vital_signs.js";

/** @typedef {import("./state.js").TabletState} TabletState */

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
  const tiles = VITAL_SIGNS.flatMap((name) => {
    const sign = vitalSign(name, signs, staleAfterS);
    return sign ? [html`<${ValueTile} key=${name} ...${sign.value} history=${signs[sign.code].history} />`] : [];
  });
  if (!tiles.length) return html`<p class="card muted">${t("vitals.none")}</p>`;
  return html`<div class="tiles">${tiles}</div>`;
}

/** @param {{state: TabletState}} props */
function Failures({ state }) {
  const failed = state.sensors.value.filter((one) => one.state === "failed");
  return failed.map((one) => html`<p key=${one.name} class="failure" role="alert">
    <strong>${t("sensor.failed_named", { name: one.name })}</strong> ${one.reason}</p>`);
}
