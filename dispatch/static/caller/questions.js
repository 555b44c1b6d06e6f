/** The first three questions in pictures: what, where, how many. A tap says it in words that the dispatcher reads. */
import { html, signal, useEffect, useState } from "/static/shared/view.js";
import { t, textIn } from "/static/shared/i18n.js";
import { keep, kept } from "./kept.js";

/** @typedef {import("./writing.js").Writing} Writing */

/** Pictogram and name of each answer, by question. */
const ASKED = /** @type {Record<"what" | "where" | "count", string[]>} */ ({
  what: ["breathing", "unconscious", "pain", "bleeding", "burn", "birth", "accident", "fall"],
  where: ["house", "street", "car", "water"],
  count: ["one", "two", "many"],
});

/** So long a new question takes no tap: it would be the second half of a double one. */
const REST_MS = 500;
const SKIPPED = "skipped";
/** Kept while the tab is open: a page that is loaded anew asks nothing twice. */
const KEPT = `forerun.asked${location.pathname}`;

/** Answers by question, and those that were said and are taken back. */
const answers = signal(/** @type {Record<"given" | "wrong", Record<string, string>>} */ (kept(KEPT) ?? { given: {}, wrong: {} }));

/** @param {Record<string, string>} given @param {Record<string, string>} wrong */
function note(given, wrong) {
  answers.value = { given, wrong };
  keep(KEPT, answers.value);
}

/** @param {{writing: Writing}} props */
export function Questions({ writing }) {
  const { given, wrong } = answers.value;
  const next = /** @type {("what" | "where" | "count")[]} */ (Object.keys(ASKED)).find((question) => !given[question]);
  const last = Object.keys(given).at(-1);
  const at = next ?? "none";
  const [rested, setRested] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setRested(at), at === "what" ? 0 : REST_MS);
    return () => clearTimeout(timer);
  }, [at]);
  const rests = rested !== at;
  /** @param {string} question @param {string} answer */
  const give = (question, answer) => {
    const said = wrong[question];
    const { [question]: _, ...others } = wrong;
    note({ ...given, [question]: answer }, others);
    const key = `ask.${question}.${answer}`;
    if (!said && answer !== SKIPPED) writing.say(bothLanguages("", key));
    else if (said && answer === SKIPPED) writing.say(bothLanguages("ask.not", `ask.${question}.${said}`));
    else if (said && said !== answer) writing.say(bothLanguages("ask.instead", key));
  };
  const back = (/** @type {string} */ question) => {
    const { [question]: answer, ...others } = given;
    note(others, answer === SKIPPED ? wrong : { ...wrong, [question]: answer });
  };
  return html`<section class="questions" aria-label=${t(`ask.${next ?? "last"}`)}>
    ${next && html`<h2 id="question">${t(`ask.${next}`)}</h2>
    <div class="answers">${ASKED[next].map((answer) => html`<button class="answer" disabled=${rests} onClick=${() => give(next, answer)}>
      <svg viewBox="0 0 96 96" aria-hidden="true"><use href=${`/static/page/caller/pictograms.svg#${next}_${answer}`} /></svg>
      <span>${t(`ask.${next}.${answer}`)}</span></button>`)}</div>
    <button class="second" disabled=${rests} onClick=${() => give(next, SKIPPED)}>${t("ask.skip")}</button>`}
    ${last && html`<button class="second back" disabled=${rests} onClick=${() => back(last)}>↶ ${t("ask.back")} ${
      t(given[last] === SKIPPED ? "ask.skip" : `ask.${last}.${given[last]}`)}</button>`}
  </section>`;
}

/** The same words in both languages: the dispatcher may read only the other one. @param {string} before key of what stands before them @param {string} key */
const bothLanguages = (before, key) => /** @type {const} */ (["zh-CN", "en"])
  .map((name) => (before && textIn(name, before)) + textIn(name, key)).join(" · ");
