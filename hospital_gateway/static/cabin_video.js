/**
 * The cabin's picture, with the truth about being live; its lateness by the time code in it, if any.
 */
import { html, useLayoutEffect, useRef, useState } from "/static/shared/view.js";
import { serverNow, timeOfDay } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { qualityWords } from "/static/shared/quality_words.js";
import { TimeCodeReader } from "/static/shared/timecode.js";
import { band } from "/static/shared/value_tile.js";
import { subscribe } from "/static/shared/whep.js";

/** @typedef {import("./state.js").ArrivalState} ArrivalState */

/** @param {{caseId: string, unit: string | undefined, name: string | undefined, on: boolean, origin: string | undefined, quality: import("/static/shared/quality_words.js").Quality | null | undefined, state: ArrivalState}} props */
export function CabinVideo({ caseId, unit, name, on, origin, quality, state }) {
  const video = useRef(/** @type {HTMLVideoElement | null} */ (null));
  const [view, setView] = useState(/** @type {import("/static/shared/whep.js").ViewState | null} */ (null));
  const [muted, setMuted] = useState(true);
  // Before the page is painted: who may not look sees no last picture beside the word for it.
  useLayoutEffect(() => {
    if (!on || !unit || !video.current) return undefined;
    const element = video.current;
    const session = subscribe(`/whep/${caseId}/cabin`, "", element, { onchange: setView });
    const stop = measure(element, (ms) => state.reports.video(ms));
    return () => {
      stop();
      session.close();
      setView(null);
    };
  }, [caseId, unit, on]);
  const phase = on && unit ? view?.phase ?? "connecting" : "off";
  const words = phase === "live" ? "" : t(`video.${phase}`);
  const mark = band({ synthetic: origin === "synthetic" });
  return html`<figure class="cabin live ${mark.class}" data-band=${mark.word} data-phase=${phase}>
    <div class="cabin-picture"><video ref=${video} muted=${muted} playsinline aria-label=${t("video.label")}></video>
      ${words && html`<p class="cabin-message">${words}
        ${phase === "stalled" && view?.lastFrameAt ? ` ${timeOfDay(view.lastFrameAt + serverNow() - Date.now())}` : ""}
        ${phase === "refused" ? html`<span class="small">${view?.reason}</span>` : null}</p>`}</div>
    <figcaption class="small"><span class="grow">${t("video.label")}${name ? ` · ${name}` : ""}
        ${origin && origin !== "live" && html` · <strong>${t(`origin.${origin}`)}</strong>`}</span>
      <button aria-pressed=${!muted} onClick=${() => setMuted(!muted)}>${t(muted ? "video.unmute" : "video.mute")}</button>
    </figcaption>
    ${unit && quality && html`<${QualityNote} quality=${quality} />`}</figure>`;
}

/** What the vehicle says it leaves out, and why. @param {{quality: import("/static/shared/quality_words.js").Quality}} props */
function QualityNote({ quality }) {
  const { full, what, why } = qualityWords(quality.said);
  if (full) return null;
  return html`<p class="narrow-link small" role="status"><strong>${t("quality.label")}</strong> ${t("quality.since",
    { time: timeOfDay(quality.since_ms) })}: ${what} (${why}). ${t("quality.kept")}</p>`;
}

/**
 * Reads the time code of each new frame as it is shown.
 * @param {HTMLVideoElement} video @param {(latencyMs: number) => void} take
 * @returns {() => void}
 */
function measure(video, take) {
  const reader = new TimeCodeReader(video);
  let stopped = false;
  const each = () => {
    if (stopped) return;
    const code = reader.read();
    if (code !== null) take(serverNow() - code);
    video.requestVideoFrameCallback(each);
  };
  if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(each);
  return () => { stopped = true; };
}
