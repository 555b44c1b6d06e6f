/**
 * What a vehicle sends on a narrow link, in words (`QualityStep` of streams/messages.py).
 *
 *     const { full, what, why } = qualityWords(step);
 */
import { hasText, t } from "./i18n.js";

/**
 * @typedef {object} QualityStep
 * @property {number} rung 0 is all that the vehicle has @property {string} reason
 * @property {"video" | "stills" | "off"} picture
 * @property {number} video_bps @property {number} width @property {number} height @property {number} fps
 * @property {boolean} sound @property {number} [ecg_every] @property {boolean} [ecg_joined]
 * @property {number | null} [capacity_bps] @property {number} [queue_ms] @property {number} [loss]
 * @property {number} [oldest_ms]
 */
/** @typedef {{since_ms: number, said: QualityStep}} Quality */

/**
 * @param {QualityStep} step
 * @returns {{full: boolean, what: string, why: string}} `what` is reduced; empty words for nothing
 */
export function qualityWords(step) {
  const full = step.rung === 0;
  return { full, what: full ? t("quality.full") : reduced(step).join(t("quality.and")), why: why(step) };
}

/** @param {QualityStep} step @returns {string[]} */
function reduced(step) {
  const { width, height } = step;
  const words = [step.picture === "video"
    ? t("quality.video", { width, height, fps: Math.round(step.fps), kbps: Math.round(step.video_bps / 1000) })
    : t(`quality.${step.picture}`)];
  if (!step.sound) words.push(t("quality.no_sound"));
  if ((step.ecg_every ?? 1) > 1) words.push(t("quality.ecg_thinned", { every: step.ecg_every ?? 1 }));
  else if (step.ecg_joined) words.push(t("quality.ecg_joined"));
  return words;
}

/** @param {QualityStep} step @returns {string} */
function why(step) {
  const key = `quality.why_${step.reason}`;
  if (!hasText(key)) return step.reason;
  return t(key, {
    kbps: step.capacity_bps == null ? "?" : Math.round(step.capacity_bps / 1000),
    queue: Math.round(step.queue_ms ?? 0),
    loss: Math.round(100 * (step.loss ?? 0)),
    oldest: ((step.oldest_ms ?? 0) / 1000).toFixed(1),
  });
}
