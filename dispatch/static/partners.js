/** Police, fire and others: what each was told of the case, how far that came, what it answered. */
import { html } from "/static/shared/view.js";
import { countdown, now, timeOfDay } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { word } from "/static/shared/words.js";
import { openPartner, partnerOf, reasonWords } from "./partner_form.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Case} Case */
/** @typedef {import("./partner_form.js").Partnership} Partnership */
/** @typedef {import("./partner_form.js").Told} Told */

/** From then on it is said for how long a message has not been taken. */
const TRYING_MS = 5000;
const ANSWER_SIGN = /** @type {Record<string, string>} */ ({ refused: "✕", done: "✓" });

/** @param {{one: Case, state: ConsoleState}} props */
export function Partners({ one, state }) {
  const { partners } = state.about.value;
  const told = Object.entries(state.detail.value?.partners ?? {});
  if (!partners.length && !told.length) return null;
  const untold = partners.filter((partner) => !told.some(([name]) => name === partner.name));
  return html`<section class="partners card" aria-label=${t("partner.label")}>
    <p class="partners-head"><strong class="muted small grow">${t("partner.label")}</strong>
      ${!one.closed_ms && untold.map((partner, index) => html`<button key=${partner.name} onClick=${() => openPartner(state, partner.name)}>
        ${t("ask.partner_do", { partner: partner.label })} …${index === 0 && !told.length && html` <kbd>F</kbd>`}</button>`)}</p>
    ${told.length > 0 && html`<ul>${told.map(([name, partnership], index) => html`<${Row} key=${name} one=${one} state=${state} name=${name}
      partnership=${partnership} isFirst=${index === 0} />`)}</ul>`}
  </section>`;
}

/** @param {{one: Case, state: ConsoleState, name: string, partnership: Partnership, isFirst: boolean}} props */
function Row({ one, state, name, partnership, isFirst }) {
  const { last, answer, stands } = partnership;
  if (!last) return null;
  const cancel = () => {
    state.reason.value = "";
    state.question.value = { kind: "cancel_partner", name };
  };
  const what = [...last.purposes.map((purpose) => word("purpose", purpose)), last.with_number && t("partner.with_number"), last.note];
  return html`<li data-partner=${name} data-state=${answer?.status ?? last.state}>
    <p class="partner-line"><strong>${partnerOf(state, name).label}</strong> <${HowFar} last=${last} answer=${answer} />
      <span class="actions partner-actions">
        ${!one.closed_ms && html`<button onClick=${() => openPartner(state, name)}>${t(stands ? "partner.tell_again" : "partner.tell")}
          ${isFirst && html` <kbd>F</kbd>`}</button>`}
        ${stands && html`<button onClick=${cancel}>${t("partner.cancel")}</button>`}</span></p>
    <p class="small muted">${[t("partner.at", { time: timeOfDay(last.asked_ms) }), ...what].filter(Boolean).join(" · ")}</p>
    ${answer?.note && html`<p>“${answer.note}”</p>`}
    ${last.state === "failed" && html`<p class="warn small">${reasonWords(last.reason)}</p>`}
    <details class="small"><summary>${t("partner.whole")}</summary><pre tabindex="0" aria-label=${t("partner.whole")}>${last.document}</pre></details>
  </li>`;
}

/** ○ made, ◐ delivered, ● answered; each with its words. @param {{last: Told, answer: Partnership["answer"]}} props */
function HowFar({ last, answer }) {
  const answered = answer && html`<span class="how-far ${answer.status}"><span aria-hidden="true">${ANSWER_SIGN[answer.status] ?? "●"}</span>
    <span>${word("partner_status", answer.status)} <time class="number muted small">${timeOfDay(answer.at_ms)}</time></span></span>`;
  if (last.state === "failed") return [answered, html`<${Mark} kind="failed" sign="⚠" words=${t("partner.failed")} />`];
  if (last.state === "asked") {
    const waitsMs = now.value - last.asked_ms;
    const late = waitsMs >= TRYING_MS;
    const words = late ? t("partner.trying", { time: countdown(waitsMs) }) : t("partner.sending");
    return [answered, html`<${Mark} kind=${late ? "warn" : ""} sign="○" words=${words} />`];
  }
  return answered || html`<${Mark} kind="" sign="◐" words=${t(last.change === "cancel" ? "partner.cancelled" : "partner.sent")} />`;
}

/** @param {{kind: string, sign: string, words: string}} props */
function Mark({ kind, sign, words }) {
  return html`<span class="how-far ${kind}"><span aria-hidden="true">${sign}</span><span>${words}</span></span>`;
}
