/** The cabin's picture, only when asked for: nobody is made to watch; one key stops it. */
import { html, useEffect, useRef, useState } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";
import { band } from "/static/shared/value_tile.js";
import { subscribe } from "/static/shared/whep.js";

/** @param {{state: import("./state.js").ConsoleState, unit: string | null}} props */
export function CabinVideo({ state, unit }) {
  const isOn = unit !== null && state.videoOf.value === unit;
  const streams = unit ? state.units.value.get(unit)?.streams ?? [] : [];
  if (!unit) return null;
  const toggle = () => { state.videoOf.value = isOn ? null : unit; };
  return html`<section class="video">
    <button data-key="video" aria-pressed=${isOn} onClick=${toggle}>${t(isOn ? "video.stop" : "video.start")} <kbd>V</kbd></button>
    <span class="muted small">${t(streams.includes("cabin") ? "video.there" : "video.not_there")}</span>
    ${isOn && html`<${Picture} unit=${unit} origin=${state.detail.value?.media_origins.cabin} key=${unit} />`}
  </section>`;
}

/** @param {{unit: string, origin: string | undefined}} props */
function Picture({ unit, origin }) {
  const video = useRef(/** @type {HTMLVideoElement | null} */ (null));
  const [phase, setPhase] = useState("connecting");
  const [blurred, setBlurred] = useState(false);
  useEffect(() => {
    const element = /** @type {HTMLVideoElement} */ (video.current);
    const view = subscribe(`/whep/${unit}/cabin`, "", element, { onchange: (now) => setPhase(now.phase) });
    return () => view.close();
  }, [unit]);
  const mark = band({ synthetic: origin === "synthetic" });
  return html`<figure class="cabin ${mark.class}" data-band=${mark.word} data-phase=${phase}>
    <video ref=${video} muted playsinline class=${blurred ? "blurred" : ""} aria-label=${t("video.label")}></video>
    ${phase !== "live" && html`<p class="cabin-message">${t(`video.${phase}`)}</p>`}
    <figcaption>${origin && origin !== "live" && html`<strong>${t(`origin.${origin}`)}</strong> `}<button aria-pressed=${blurred} onClick=${() => setBlurred(!blurred)}>${t("video.blur")}</button></figcaption>
  </figure>`;
}
