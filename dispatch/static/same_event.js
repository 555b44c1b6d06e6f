/** Which cases may be the same event, each with what speaks for it; and what is linked already. */
import { html } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";
import { distance, word } from "/static/shared/words.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Case} Case */

/** @param {{one: Case, state: ConsoleState}} props */
export function SameEvent({ one, state }) {
  const suggestions = state.suggestions.value;
  const proposed = (suggestions?.same_event ?? []).filter((other) => state.cases.value.has(other.case));
  const main = one.linked_to ? state.cases.value.get(one.linked_to) : null;
  if (one.linked_to) {
    return html`<section class="same-event card"><p><strong>${t("same.goes_on", { where: main ? nameOf(main) : one.linked_to })}</strong>
      ${main && html`<button onClick=${() => state.select(main.id)}>${t("same.show")}</button>`}
      <button onClick=${() => { state.reason.value = ""; state.question.value = { kind: "unlink", name: one.id }; }}>${t("same.part")}</button></p></section>`;
  }
  if (!proposed.length && !one.linked.length) return null;
  return html`<section class="same-event card" aria-label=${t("same.label")}>
    ${one.linked.length > 0 && html`<p>${t("same.linked", { count: one.linked.length })}
      ${one.linked.map((id) => html` <button key=${id} class="small" onClick=${() => state.select(id)}>${nameOf(state.cases.value.get(id))}</button>`)}</p>`}
    ${proposed.length > 0 && !one.linked.length && !one.closed_ms && html`<p><strong>${t("same.label")}</strong></p>
      <ol>${proposed.map((other, index) => html`<li key=${other.case}><span class="grow">${nameOf(state.cases.value.get(other.case))}
          <span class="small muted"> ${[...other.why.map((code) => word("same", code)), other.apart_m != null && distance(other.apart_m)].filter(Boolean).join(" · ")}</span></span>
        <button data-key=${index === 0 ? "link" : undefined} disabled=${state.isSending("link_case", one.id)}
          onClick=${() => state.act({ action: "link_case", case: one.id, to: other.case })}>${t("same.link")} ${index === 0 && html`<kbd>L</kbd>`}</button></li>`)}</ol>`}
  </section>`;
}

/** @param {Case | undefined} one @returns {string} */
export function nameOf(one) {
  return one ? [one.address || t("case.no_address"), `“${one.alias}”`].join(" ") : "?";
}
