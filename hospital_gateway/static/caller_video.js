/** What the caller shows, before the crew is there; for who has acknowledged the case, and only when wanted. */
import { html, useEffect, useRef, useState } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";
import { subscribe } from "/static/shared/whep.js";

/** @param {{card: import("./state.js").Card}} props */
export function CallerVideo({ card }) {
  const [isWatching, setWatching] = useState(false);
  const isCurrent = card.status === "inbound" || card.status === "arrived";
  if (!isCurrent || card.caller_video !== "on") return null;
  const mayWatch = card.seen.some((mark) => mark.state === "delivered");
  const words = mayWatch ? isWatching ? "caller_view.close" : "caller_view.watch" : "caller_view.first_acknowledge";
  return html`<section class="caller-video card"><div class="caller-head"><strong>${t("caller_view.label")}</strong>
      ${mayWatch ? html`<button aria-pressed=${isWatching} onClick=${() => setWatching(!isWatching)}>${t(words)}</button>`
        : html`<span class="small muted">${t(words)}</span>`}</div>
    ${mayWatch && isWatching && html`<${Picture} caseId=${card.case} key=${card.case} />`}</section>`;
}

/** @param {{caseId: string}} props */
function Picture({ caseId }) {
  const box = useRef(/** @type {HTMLVideoElement | null} */ (null));
  const [phase, setPhase] = useState("connecting");
  const [isLoud, setLoud] = useState(false);
  useEffect(() => {
    const element = /** @type {HTMLVideoElement} */ (box.current);
    const view = subscribe(`/whep/${caseId}/caller`, "", element, { onchange: (now) => setPhase(now.phase) });
    return () => view.close();
  }, [caseId]);
  useEffect(() => { if (box.current) box.current.muted = !isLoud; }, [isLoud]);
  return html`<div class="caller-frame" data-phase=${phase}><video ref=${box} playsinline aria-label=${t("caller_view.label")}></video>
      ${phase !== "live" && html`<p role="status">${t(`caller_view.phase_${phase}`)}</p>`}</div>
    <p class="small muted">${t("caller_view.note")} <button class="small" aria-pressed=${isLoud} onClick=${() => setLoud(!isLoud)}>${t("caller_view.sound")}</button></p>`;
}
