/** A step of the life-support guide in words: what was answered, what the caller was then told, which moment that was. */
import { language, t } from "./i18n.js";

/** @typedef {{en: string, zh: string}} Wording */

/**
 * @param {{text?: Wording | null, answer_text?: Wording | null, timer?: string | null}} said the fact's body
 * @returns {string}
 */
export function guideWords({ text, answer_text: answer, timer }) {
  if (!text) return t("line.guide_over");
  const own = /** @type {"en" | "zh"} */ (language.value === "zh-CN" ? "zh" : "en");
  const told = answer ? t("line.guide_answered", { answer: answer[own], text: text[own] }) : t("line.guide", { text: text[own] });
  return timer ? `${told} · ${t(`mark.${timer}`)}` : told;
}
