/** What the caller is to do now: one picture, one sentence, and the beat to push by. */
import { html, useEffect, useRef } from "/static/shared/view.js";
import { language, t } from "/static/shared/i18n.js";
import { beat, isAloud, isMute, speak, toggleAloud } from "./aloud.js";

/** @param {{writing: import("./writing.js").Writing}} props */
export function StepCard({ writing }) {
  const step = writing.step.value;
  const perMinute = step?.metronome_per_min ?? 0;
  const aloud = isAloud.value;
  useEffect(() => {
    if (!perMinute) return undefined;
    const timer = setInterval(beat, 60_000 / perMinute);
    return () => clearInterval(timer);
  }, [perMinute]);
  useEffect(() => {
    if (aloud && step) speak(writing.path, step.step, language.value);
  }, [aloud, step?.step, step?.run, language.value]);
  const card = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => card.current?.scrollIntoView({ block: "start" }), [step?.step, step?.run]); // who writes is at the page's foot
  if (!step) return null;
  return html`<section class="step" role="alert" ref=${card}><svg viewBox="0 0 96 96" aria-hidden="true" class=${perMinute ? "beats" : ""}
      style=${perMinute ? `animation-duration: ${60 / perMinute}s` : ""}><use href=${`/static/page/caller/pictograms.svg#${step.pictogram}`} /></svg>
    <p>${language.value === "zh-CN" ? step.text.zh : step.text.en}</p>${perMinute > 0 && html`<strong class="number">${perMinute} / min</strong>`}
    <button class="second" aria-pressed=${aloud} onClick=${toggleAloud}>${t(aloud ? "step.quiet" : "step.aloud")}</button>
    ${aloud && isMute.value && html`<span class="small wrong">${t("step.mute")}</span>`}</section>`;
}
