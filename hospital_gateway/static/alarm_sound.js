/**
 * Sound only for red, and only until somebody has acknowledged; never the only signal.
 *
 * Browsers let a page sound only after a click, so the button is also how sound is switched on. The
 * pattern is that of a high priority alarm after IEC 60601-1-8 (ten pulses), every 10 s.
 */
import { html, signal, useEffect } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";

/** @typedef {import("./card_words.js").Row} Row */

const EVERY_MS = 10_000;
/** Starts of the ten pulses, s. */
const PULSES = [0, 0.2, 0.4, 0.8, 1.0, 1.8, 2.0, 2.2, 2.6, 2.8];
const PULSE_S = 0.15;
const on = signal(false);
/** @type {AudioContext | null} */
let audio = null;

/** @param {{rows: Row[]}} props */
export function AlarmSound({ rows }) {
  const wanted = rows.some((row) => row.patient.severity === "red" && !row.card.seen.some((mark) => !mark.problem));
  useEffect(() => {
    if (!on.value || !wanted) return undefined;
    sound();
    const again = setInterval(sound, EVERY_MS);
    return () => clearInterval(again);
  }, [on.value, wanted]);
  const switched = () => {
    audio ??= new AudioContext();
    void audio.resume();
    on.value = !on.value;
  };
  return html`<button class="sound" aria-pressed=${on.value} title=${t("sound.meaning")}
    onClick=${switched}>${t(on.value ? "sound.on" : "sound.off")}</button>`;
}

function sound() {
  if (!audio) return;
  const level = audio.createGain();
  const tone = audio.createOscillator();
  tone.frequency.value = 660;
  level.gain.value = 0;
  for (const start of PULSES) {
    const at = audio.currentTime + 0.05 + start;
    level.gain.setTargetAtTime(0.25, at, 0.01);
    level.gain.setTargetAtTime(0, at + PULSE_S, 0.02);
  }
  tone.connect(level).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 4);
}
