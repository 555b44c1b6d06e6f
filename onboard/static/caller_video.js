/** What the caller shows, for the crew on its way: only when the crew wants it, and live or not at all. */
import { html, useEffect, useRef, useState } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";
import { subscribe } from "/static/shared/whep.js";

/** @param {{open: import("./state.js").Case}} props */
export function CallerVideo({ open }) {
  const [isWatching, setWatching] = useState(false);
  const [isLoud, setLoud] = useState(false);
  if (open.caller_video !== "on" || !open.ours || open.closed) return null;
  return html`<section class="card caller-video"><div class="caller-head"><h2>${t("caller_view.label")}</h2>
      ${isWatching && html`<button aria-pressed=${isLoud} onClick=${() => setLoud(!isLoud)}>${t("caller_view.sound")}</button>`}
      <button aria-pressed=${isWatching} onClick=${() => setWatching(!isWatching)}>${t(isWatching ? "caller_view.close" : "caller_view.watch")}</button></div>
    ${isWatching ? html`<${Picture} caseId=${open.id} isLoud=${isLoud} key=${open.id} />` : html`<p class="small muted">${t("caller_view.note")}</p>`}</section>`;
}

/** @param {{caseId: string, isLoud: boolean}} props */
function Picture({ caseId, isLoud }) {
  const box = useRef(/** @type {HTMLVideoElement | null} */ (null));
  const [phase, setPhase] = useState("connecting");
  useEffect(() => {
    const element = /** @type {HTMLVideoElement} */ (box.current);
    element.scrollIntoView({ block: "nearest" }); // it was just asked for
    const view = subscribe(`/whep/${caseId}/caller`, "", element, { onchange: (now) => setPhase(now.phase) });
    return () => view.close();
  }, [caseId]);
  useEffect(() => { if (box.current) box.current.muted = !isLoud; }, [isLoud]);
  return html`<div class="caller-frame" data-phase=${phase}>
    <video ref=${box} playsinline aria-label=${t("caller_view.label")}></video>
    ${phase !== "live" && html`<p role="status">${t(`caller_view.phase_${phase}`)}</p>`}</div>`;
}
