/** What caller and dispatcher wrote to each other, and the field in which the caller writes. */
import { html, useEffect, useRef } from "/static/shared/view.js";
import { language, t } from "/static/shared/i18n.js";
import { watchField } from "/static/shared/t140.js";
import { ALONE } from "./status.js";

/** @typedef {import("./writing.js").Writing} Writing */

const NEEDS = ["deaf", "cannot_speak"];

/** @param {{writing: Writing, isOver?: boolean}} props nobody reads any more: it is there to be read */
export function Conversation({ writing, isOver = false }) {
  const lines = useRef(/** @type {HTMLDivElement | null} */ (null));
  const turns = writing.turns.value;
  const drafts = writing.drafts.value;
  useEffect(() => lines.current?.scrollTo({ top: lines.current.scrollHeight }), [turns, drafts]);
  return html`<section class="conversation" aria-labelledby="talk-title"><h2 id="talk-title">${t(isOver ? "talk.was" : "talk.title")}</h2>
    <div class="lines" ref=${lines} role="log" aria-live="polite" aria-labelledby="talk-title" tabindex="0"><ol>
      ${!isOver && turns.length === 0 && drafts.length === 0 && html`<li class="muted">${t("talk.none")}</li>`}
      ${turns.map((turn) => html`<li key=${turn.turn} class=${turn.who}><span class="small">${t(`talk.${turn.who}`)}</span>
        <span class="said">${turn.text}</span>${turn.corrected && html`<strong class="small">${t("talk.corrected")}</strong>`}</li>`)}
      ${writing.mine.value.map((text, index) => html`<li key=${`mine-${index}`} class="caller waiting"><span class="small">${t("talk.caller")} · ${t("talk.sending")}</span>
        <span class="said">${text}</span></li>`)}
      ${drafts.map((draft) => html`<li key=${draft.turn} class="dispatcher draft" aria-hidden="true"><span class="small">${t("talk.dispatcher")} · ${t("talk.writes")}</span>
        <span class="said">${draft.text}</span></li>`)}
    </ol></div>
    ${!isOver && html`<${Field} writing=${writing} />`}</section>`;
}

/** What the dispatcher said last, where it is seen while the page shows something else above the conversation. @param {{writing: Writing}} props */
export function Latest({ writing }) {
  const last = writing.turns.value.filter((turn) => turn.who === "dispatcher").at(-1);
  const begun = writing.drafts.value.at(-1);
  const draft = begun && begun.begun_ms > (last?.begun_ms ?? 0) ? begun : undefined; // not one that others went past
  const text = draft?.text ?? last?.text;
  const answered = !draft && writing.turns.value.at(-1)?.who === "caller"; // then it stands below
  if (!text || answered) return null;
  const go = () => /** @type {HTMLElement | null} */ (document.querySelector("[name=text]"))?.focus();
  return html`<p class="latest ${draft ? "draft" : ""}" aria-hidden="true"><span class="small">${t("talk.latest")}</span> <span class="said">${text}</span>
    <button tabindex="-1" onClick=${go}>${t("talk.go")}</button></p>`;
}

/** @param {{writing: Writing}} props */
function Field({ writing }) {
  const box = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const { isCut } = writing;
  useEffect(() => {
    const field = /** @type {HTMLTextAreaElement} */ (box.current);
    const take = (/** @type {string} */ value) => {
      const rest = writing.take(value);
      if (rest !== value) field.value = rest;
    };
    // Pinyin is no text before a choice is made; a keyboard that composes every word of English writes.
    return watchField(field, take, { isHeld: () => language.value === "zh-CN", stalledMs: 3000 });
  }, []);
  const end = () => {
    writing.end();
    const field = /** @type {HTMLTextAreaElement} */ (box.current);
    field.value = "";
    field.focus();
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    // While an input method composes (229 in browsers that say it late) the key is the method's.
    if (event.key !== "Enter" || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    end();
  };
  const hasWritten = writing.field.value || writing.turns.value.some((turn) => turn.who === "caller");
  const call = writing.status.value?.call;
  // The page's first line may be out of view of who writes at its foot.
  const how = isCut ? "talk.cut" : ALONE.includes(call) ? `status.${call}` : !writing.isTaken.value ? "talk.sending" : hasWritten ? "talk.live" : "";
  return html`<div class="field">
    <textarea ref=${box} name="text" rows="2" onKeyDown=${onKeyDown} placeholder=${t("talk.hint")} aria-label=${t("talk.hint")}></textarea>
    <button class="main" onClick=${end} disabled=${!writing.field.value.trim()}>${t("talk.send")}</button></div>
    <p class="small ${isCut || ALONE.includes(call) ? "wrong" : "muted"}" role="status">${how && t(how)}</p>`;
}

/** "I am deaf": told with one tap, on the page of the dispatcher, the crew and the hospital. @param {{writing: Writing}} props */
export function Needs({ writing }) {
  const needs = writing.needs.value;
  const toggle = (/** @type {string} */ need) =>
    writing.tellNeeds(needs.includes(need) ? needs.filter((one) => one !== need) : [...needs, need]);
  return html`<div class="needs">${NEEDS.map((need) => html`<button class="second" aria-pressed=${needs.includes(need)} onClick=${() => toggle(need)}>
    ${needs.includes(need) ? "✓ " : ""}${t(`here.${need}`)}</button>`)}</div>`;
}
