/** The first three questions in pictures: what, where, how many. A tap says it in words that the dispatcher reads. */
import { html, signal, useEffect, useState } from "/static/shared/view.js";
import { t, textIn } from "/static/shared/i18n.js";

/** @typedef {import("./writing.js").Writing} Writing */

/** Pictogram and name of each answer, by question. */
const ASKED = /** @type {Record<"what" | "where" | "count", string[]>} */ ({
  what: ["breathing", "unconscious", "pain", "bleeding", "burn", "birth", "accident", "fall"],
  where: ["house", "street", "car", "water"],
  count: ["one", "two", "many"],
});

/** So long a new question takes no tap: it would be the second half of a double one. */
const REST_MS = 500;

const answered = signal(/** @type {Record<string, string>} */ ({}));

/** @param {{writing: Writing}} props */
export function Questions({ writing }) {
  const next = /** @type {("what" | "where" | "count")[]} */ (Object.keys(ASKED)).find((question) => !answered.value[question]);
  const [rested, setRested] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setRested(next ?? ""), next === "what" ? 0 : REST_MS);
    return () => clearTimeout(timer);
  }, [next]);
  if (!next) return null;
  const go = (/** @type {string} */ answer) => {
    answered.value = { ...answered.value, [next]: answer };
  };
  const say = (/** @type {string} */ answer) => {
    go(answer);
    writing.say(bothLanguages(`ask.${next}.${answer}`));
  };
  return html`<section class="questions" aria-labelledby="question">
    <h2 id="question">${t(`ask.${next}`)}</h2>
    <div class="answers">${ASKED[next].map((answer) => html`<button class="answer" disabled=${rested !== next} onClick=${() => say(answer)}>
      <svg viewBox="0 0 96 96" aria-hidden="true"><use href=${`/static/page/caller/pictograms.svg#${next}_${answer}`} /></svg>
      <span>${t(`ask.${next}.${answer}`)}</span></button>`)}</div>
    <button class="second" disabled=${rested !== next} onClick=${() => go("skipped")}>${t("ask.skip")}</button>
  </section>`;
}

/** The same words in both languages: the dispatcher may read only the other one. @param {string} key */
const bothLanguages = (key) => `${textIn("zh-CN", key)} · ${textIn("en", key)}`;
