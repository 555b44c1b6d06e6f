/** A triage tag: shape, word and colour together; minor and expectant have no alarm colour. */
import { html } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";

/** @typedef {import("./triage.js").Tag} Tag */
const SHAPES = { immediate: "▲", delayed: "◆", minor: "●", expectant: "■" };
const LEVELS = { immediate: "high", delayed: "medium", minor: "", expectant: "" };

/** @type {Tag[]} */
export const TAGS = ["immediate", "delayed", "minor", "expectant"];

/** @param {{tag: Tag, count?: number}} props */
export function TagMark({ tag, count }) {
  return html`<span class="severity tag-mark ${LEVELS[tag]}" title=${t(`tag.${tag}.meaning`)}><span aria-hidden="true">${SHAPES[tag]}</span>
    ${t(`tag.${tag}`)}${count !== undefined && html` <strong class="number">${count}</strong>`}</span>`;
}
