/**
 * The time stamps: one large button each, in the order of a run; a stamped one opens its correction.
 */
import { html, useState } from "/static/shared/view.js";
import { now, timeOfDay } from "/static/shared/clock.js";
import { Delivery } from "/static/shared/delivery.js";
import { t } from "/static/shared/i18n.js";

/** @typedef {import("./state.js").TabletState} TabletState */
/** @typedef {import("./state.js").Case} Case */

const MINUTE_MS = 60_000;
const STEPS = [-10, -5, -1, 1];

/** @param {{state: TabletState, open: Case}} props */
export function Stamps({ state, open }) {
  const [chosen, setChosen] = useState(/** @type {string | null} */ (null));
  const stages = state.unit.value?.stages ?? [];
  const next = stages.find((stage) => !open.stamps[stage]);
  const can = state.can("stamp");
  const press = (/** @type {string} */ stage) => {
    if (open.stamps[stage]) setChosen(chosen === stage ? null : stage);
    else if (state.run.value.state === "ended") setChosen(stage);
    else void state.act({ action: "milestone", stage });
  };
  return html`<ol class="stamps" aria-label=${t("stamp.label")}>
    ${stages.map((stage) => html`<li key=${stage}>
      <button class="stamp ${stage === next && can ? "main" : ""} ${open.stamps[stage] ? "stamped" : ""}"
          disabled=${!can} aria-expanded=${open.stamps[stage] ? chosen === stage : undefined}
          onClick=${() => press(stage)}>
        <span>${t(`stage.${stage}`)}</span><${Time} stamp=${open.stamps[stage]} /></button>
      ${chosen === stage && html`<${Correction} key=${stage} state=${state} stage=${stage}
        stamp=${open.stamps[stage]} done=${() => setChosen(null)} />`}</li>`)}</ol>`;
}

/** @param {{stamp: import("./state.js").Stamp | undefined}} props */
function Time({ stamp }) {
  if (!stamp) return null;
  return html`<span class="stamp-time"><time class="number">${timeOfDay(stamp.at_ms)}</time>
    ${stamp.corrected && html` <span class="small">${t("stamp.corrected")}</span>`}
    ${stamp.delivery === "refused" ? html` <span title=${stamp.refusal}>✕</span>`
      : html` <${Delivery} state=${stamp.delivery} role=${stamp.seen_by} words=${false} />`}</span>`;
}

/**
 * @param {{state: TabletState, stage: string, stamp: import("./state.js").Stamp | undefined,
 *   done: () => void}} props
 */
function Correction({ state, stage, stamp, done }) {
  const [atMs, setAtMs] = useState(stamp?.at_ms ?? now.peek());
  const save = async () => {
    const corrects = stamp ? { corrects: stamp.id } : {};
    if (await state.act({ action: "milestone", stage, at_ms: Math.round(atMs), ...corrects })) done();
  };
  return html`<div class="correction" role="group" aria-label=${t("stamp.correct")}>
    ${STEPS.map((minutes) => html`<button key=${minutes} onClick=${() => setAtMs(Math.min(atMs + minutes * MINUTE_MS, now.peek()))}>
      ${minutes > 0 ? "+" : "−"}${t("duration.minutes", { count: Math.abs(minutes) })}</button>`)}
    <button class="main" onClick=${save}>${t("stamp.set", { time: timeOfDay(atMs) })}</button></div>`;
}
