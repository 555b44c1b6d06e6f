/** A step of the video with a caller, in words; the same on the console, the tablet and the board. */
import { hasText, t } from "./i18n.js";

/**
 * @param {{step: string, who?: string, reason?: string, pictogram?: string}} said the fact's body
 * @param {(name: string) => string} label name for people of a seat, a unit or a hospital
 * @returns {string}
 */
export function callerVideoWords({ step, who = "", reason = "", pictogram = "" }, label) {
  const shown = `pictogram.${pictogram}`;
  const what = !pictogram ? t("caller_video.image") : hasText(shown) ? t(shown) : pictogram.replaceAll("_", " ");
  const said = step === "refused" && !reason ? "said_no" : step; // the person, and not the phone
  const words = t(`caller_video.step.${said}`, { who: who && label(who), what });
  const why = videoReason(reason);
  return why ? `${words} (${why})` : words;
}

/** Why there is no video, where a page gave a word for it; a person's own words as they are. @param {string} reason */
export function videoReason(reason) {
  return hasText(`caller_video.why.${reason}`) ? t(`caller_video.why.${reason}`) : reason;
}
