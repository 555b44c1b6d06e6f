/** What the caller is to do now: one picture, one sentence, and the beat to push by. */
import { html, useEffect, useRef, useState } from "/static/shared/view.js";
import { language, t } from "/static/shared/i18n.js";
import { beat, isAloud, isMute, speak, toggleAloud } from "./aloud.js";

/** @typedef {import("./writing.js").Writing} Writing */
/** @typedef {import("./writing.js").GuideStep} GuideStep */

/** So long a new step's answers take no tap: it was meant for the one before. */
const REST_MS = 500;
/** So long a change of who pushes is shown once the dispatcher noted it. */
const CHANGE_MS = 15_000;
const LOOK_MS = 250;

/** @param {{en: string, zh: string}} text */
const said = (text) => (language.value === "zh-CN" ? text.zh : text.en);

/** @param {{writing: Writing}} props */
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
  return html`<section class="step" role="alert" ref=${card}>${step.change && html`<${Change} change=${step.change} />`}<svg viewBox="0 0 96 96" aria-hidden="true" class=${perMinute ? "beats" : ""}
      style=${perMinute ? `animation-duration: ${60 / perMinute}s` : ""}><use href=${`/static/page/caller/pictograms.svg#${step.pictogram}`} /></svg>
    <p>${said(step.text)}</p>${perMinute > 0 && html`<strong class="number">${perMinute} / min</strong>`}
    <${Answers} key=${`${step.run} ${step.step}`} writing=${writing} step=${step} />
    <button class="second" aria-pressed=${aloud} onClick=${toggleAloud}>${t(aloud ? "step.quiet" : "step.aloud")}</button>
    ${aloud && isMute.value && html`<span class="small wrong">${t("step.mute")}</span>`}</section>`;
}

/**
 * What may be answered, for who cannot hear the question or say the answer. A tap says it in words and
 * moves nothing: the guide goes on by the dispatcher's key alone, who knows more than one word tells
 * (what is heard, what was asked beside it), and must know at which step the caller is.
 * @param {{writing: Writing, step: GuideStep}} props
 */
function Answers({ writing, step }) {
  const [rests, setRests] = useState(true);
  const [told, setTold] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setRests(false), REST_MS);
    return () => clearTimeout(timer);
  }, []);
  const tell = (/** @type {GuideStep["answers"][0]} */ { id, text }) => {
    if (id === told) return; // a double tap
    setTold(id);
    writing.say(`${text.zh} · ${text.en}`);
  };
  return step.answers.map((answer) => html`<button key=${answer.id} class="choice" disabled=${rests} aria-pressed=${told === answer.id}
    onClick=${() => tell(answer)}>${told === answer.id ? "✓ " : ""}${said(answer.text)}</button>`);
}

/** Another one is to push: it is time, or the dispatcher says so. @param {{change: NonNullable<GuideStep["change"]>}} props */
function Change({ change }) {
  const [isNow, setNow] = useState(false);
  useEffect(() => {
    const begun = performance.now();
    const look = () => {
      const passed = performance.now() - begun;
      setNow(change.due_ms <= passed || (change.ago_ms !== null && change.ago_ms + passed < CHANGE_MS));
    };
    look();
    const timer = setInterval(look, LOOK_MS);
    return () => clearInterval(timer);
  }, [change]);
  useEffect(() => { if (isNow) navigator.vibrate?.([300, 100, 300, 100, 300]); }, [isNow]);
  return isNow && html`<strong class="change">⇄ ${t("step.change")}</strong>`;
}
