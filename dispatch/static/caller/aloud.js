/**
 * The step that is to be done, read aloud, and the beat as sound: for who helps with both hands. Off
 * until it is asked for: a caller who keeps silent may be hiding.
 */
import { signal } from "/static/shared/view.js";

export const isAloud = signal(false);
/** Whether the last step could not be spoken. */
export const isMute = signal(false);
/** @type {AudioContext | null} */ let audio = null;
/** @type {HTMLAudioElement | null} */ let voice = null;

/** Switched by a tap, which is also what lets a browser sound. */
export function toggleAloud() {
  isAloud.value = !isAloud.value;
  if (isAloud.value) {
    audio ??= new AudioContext();
    void audio.resume();
  } else voice?.pause();
}

/** @param {string} path of the page @param {string} step @param {string} language */
export function speak(path, step, language) {
  voice?.pause();
  voice = new Audio(`${path}/step?step=${encodeURIComponent(step)}&language=${language === "zh-CN" ? "zh" : "en"}`);
  voice.onerror = () => { isMute.value = true; };
  voice.onplaying = () => { isMute.value = false; };
  voice.play().catch(() => {}); // stopped by the next step, or told by onerror
}

/** One beat, as sound where it is wanted and as a shake where the phone can. */
export function beat() {
  navigator.vibrate?.(60); // one who cannot hear feels it
  if (!audio || !isAloud.value) return;
  const [tone, level] = [audio.createOscillator(), audio.createGain()];
  tone.frequency.value = 880;
  level.gain.setValueAtTime(0.5, audio.currentTime);
  level.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.08);
  tone.connect(level).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.09);
}
