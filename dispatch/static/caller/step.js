/** What the caller is to do now: one picture, one sentence, and the beat to push by. */
import { html, useEffect } from "/static/shared/view.js";
import { language } from "/static/shared/i18n.js";

/** @param {{writing: import("./writing.js").Writing}} props */
export function StepCard({ writing }) {
  const step = writing.step.value;
  const beat = step?.metronome_per_min ?? 0;
  useEffect(() => {
    if (!beat || !navigator.vibrate) return undefined;
    const timer = setInterval(() => navigator.vibrate(60), 60_000 / beat); // one who cannot hear feels it
    return () => clearInterval(timer);
  }, [beat]);
  if (!step) return null;
  return html`<section class="step" role="alert"><svg viewBox="0 0 96 96" aria-hidden="true" class=${beat ? "beats" : ""}
      style=${beat ? `animation-duration: ${60 / beat}s` : ""}><use href=${`/static/page/caller/pictograms.svg#${step.pictogram}`} /></svg>
    <p>${language.value === "zh-CN" ? step.text.zh : step.text.en}</p>${beat > 0 && html`<strong class="number">${beat} / min</strong>`}</section>`;
}
