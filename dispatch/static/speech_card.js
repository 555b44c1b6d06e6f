/** What of the bridge is seen: its switches and its state, and what this seat said that waits for a look. */
import { html, useEffect, useRef } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";
import { word } from "/static/shared/words.js";
import { speech } from "./speech.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Case} Case */
/** @typedef {import("./speech.js").Heard} Heard */

/** Microphone and voice, and what of them does not work. @param {{one: Case}} props */
export function SpeechBar({ one }) {
  const mic = speech.mic.value;
  const isOn = mic?.phase === "on";
  const [hears, speaks] = [speech.hears.value, speech.speaks.value];
  const level = Math.min(1, speech.level.value * 6);
  return html`<div class="speech-bar">
    <button data-key="mic" class=${isOn ? "main" : ""} aria-pressed=${mic !== null} disabled=${Boolean(one.closed_ms)} onClick=${() => speech.toggleMic(one.id)}>
      ${t(isOn ? "speech.mic_on" : "speech.mic_off")} <kbd>F8</kbd></button>
    ${isOn && html`<span class="level" aria-hidden="true"><span style=${`transform: scaleX(${level.toFixed(2)})`}></span></span>`}
    <button data-key="mic-language" class="small" disabled=${mic !== null} onClick=${() => { speech.spoken.value = speech.spoken.value === "zh" ? "en" : "zh"; }}>
      ${t("speech.language", { language: t(`speech.${speech.spoken.value}`) })}</button>
    <button data-key="voice" aria-pressed=${speech.isVoiceOn.value} onClick=${() => speech.toggleVoice()}>
      ${t(speech.isVoiceOn.value ? "speech.voice_on" : "speech.voice_off")} <kbd>F9</kbd></button>
    <span class="small grow" role="status">${mic && !isOn && html`<strong class="warn">${t(`speech.mic_${mic.phase}`)} ${mic.reason ? word("speech_reason", mic.reason) : ""}</strong> `}
      ${hears?.condition === "off" && speaks?.condition === "off" && hears.reason === speaks.reason ? html`<${Engine} name="both" engine=${hears} />`
        : html`<${Engine} name="hears" engine=${hears} /><${Engine} name="speaks" engine=${speaks} />`}</span>
  </div>`;
}

/** Says nothing of what works. @param {{name: string, engine: import("./speech.js").Engine | null}} props */
function Engine({ name, engine }) {
  if (!engine || engine.condition === "ready") return null;
  return html`<span class=${engine.condition === "starting" || engine.reason === "switched_off" ? "muted" : "warn"} data-engine=${name}>${t(`speech.${name}_${engine.condition}`)}
    ${engine.reason ? ` (${word("speech_reason", engine.reason)})` : ""}. ${t("speech.as_text")} </span>`;
}

/** The case whose caller hears the microphone, when another one is shown. @param {{state: ConsoleState}} props */
export function MicElsewhere({ state }) {
  const mic = speech.mic.value;
  if (!mic || state.case.value?.id === mic.case) return null;
  const alias = state.queue.value.find((one) => one.id === mic.case)?.alias ?? "";
  return html`<button class="mic-elsewhere" onClick=${() => speech.stop()}>${t("speech.elsewhere", { alias })} <kbd>F8</kbd></button>`;
}

/** One thing that this seat says, with what is in doubt marked. @param {{one: Heard, state: ConsoleState, correct: (one: Heard) => void, mayCorrect: boolean, isBelow?: boolean}} props */
export function HeardLine({ one, state, correct, mayCorrect, isBelow = false }) {
  const send = useRef(/** @type {HTMLButtonElement | null} */ (null));
  const waits = one.wait !== "draft";
  useEffect(() => {
    if (waits && document.activeElement === document.body) send.current?.focus();
  }, [waits]);
  useEffect(() => () => { requestAnimationFrame(backToGuide); }, []);
  const isSending = state.isSending("say_text", one.case);
  return html`<li class="turn dispatcher ${waits ? "held" : "live"}" data-turn=${one.turn}>
    <span class="muted small number">${t("speech.you_say")} ${waits ? html`<strong class=${one.is_doubtful ? "warn" : ""}>${t("speech.sure", { percent: Math.round(100 * one.confidence) })}</strong>` : ""}</span>
    <span class="said" lang=${one.language === "zh" ? "zh-CN" : "en"}>${marked(one)}${!waits && html`<span class="cursor" aria-hidden="true">▏</span>`}</span>
    ${waits && html`<span class="checks" role="status"><strong class="warn">${t(`speech.wait_${one.wait}`)}</strong>
      ${one.doubts.map((doubt) => html`<span class="check"><span class="muted">${t(`speech.kind_${doubt.kind}`)}</span> <strong>${doubt.read_back}</strong></span>`)}</span>
    <span class="acts"><button ref=${send} class="main" data-key="say-heard" disabled=${isSending} data-enter=${t("talk.say_to", { who: t("talk.caller") })} onClick=${() => say(state, one)}>${t("talk.say")} <kbd>${isBelow ? "F2 ⏎" : "⏎"}</kbd></button>
      <button data-key="correct-heard" disabled=${!mayCorrect} onClick=${() => correct(one)}>${t("talk.correct")}</button>
      <button data-key="discard-heard" onClick=${() => speech.discard(one)}>${t("speech.discard")}</button></span>`}
  </li>`;
}

/** The guide's keys go on once a line that had the focus is gone: elsewhere they mean something else. */
function backToGuide() {
  if (document.activeElement === document.body) /** @type {HTMLElement | null} */ (document.querySelector(".guide-keys"))?.focus({ preventScroll: true });
}

/** @param {ConsoleState} state @param {Heard} one */
function say(state, one) {
  state.act({ action: "say_text", case: one.case, turn: one.turn, text: one.text, way: "speech", language: one.language,
    begun_ms: one.begun_ms, ended_ms: one.ended_ms, heard: one.text, confidence: one.confidence });
}

/** @param {Heard} one */
function marked(one) {
  /** @type {unknown[]} */ const parts = [];
  let at = 0;
  const characters = [...one.text]; // the hub counts code points
  for (const { begin, end } of one.doubts) {
    parts.push(characters.slice(at, begin).join(""), html`<mark class="doubt">${characters.slice(begin, end).join("")}</mark>`);
    at = end;
  }
  return [...parts, characters.slice(at).join("")];
}
