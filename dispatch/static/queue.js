/** The queue: open cases, most urgent first, with the time that each has waited. */
import { html, useMemo, useRef } from "/static/shared/view.js";
import { countdown, now } from "/static/shared/clock.js";
import { language, t } from "/static/shared/i18n.js";
import { Severity, levelClass, levelOf } from "/static/shared/severity.js";
import { band } from "/static/shared/value_tile.js";
import { word } from "/static/shared/words.js";
import { ForeignQueue, lentOf } from "./foreign.js";
import { LineKind, PHASE_SIGN, phaseWords } from "./call_bar.js";
import { fixWords } from "./located.js";
import { nameOf } from "./same_event.js";
import { isMine, isOffered, rings } from "./call_order.js";
import { TAGS, TagMark } from "./tag_mark.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Case} Case */
/** Closed cases that are listed. */
const CLOSED = 30;

/** @param {{state: ConsoleState}} props */
export function Queue({ state }) {
  const held = useRef(/** @type {string[] | null} */ (null));
  const sorted = state.queue.value;
  const rows = held.current ? inOrder(sorted, held.current) : sorted;
  const closed = state.closed.value.slice(0, CLOSED);
  return html`<nav class="queue live" aria-label=${t("queue.label")}
      onPointerEnter=${() => { held.current = sorted.map((one) => one.id); }}
      onPointerLeave=${() => { held.current = null; }}>
    <button class="main new-case" onClick=${() => { state.isOpening.value = true; }}>
      ${t("case.new")} <kbd>N</kbd></button>
    ${rows.length === 0 && html`<p class="nothing muted">${t("queue.empty")}</p>`}
    <ol>${rows.map((one) => html`<${Row} key=${one.id} one=${one} state=${state} />`)}</ol>
    <${ForeignQueue} state=${state} />
    ${state.unplaced.value.length > 0 && html`<details class="closed"><summary>${t("unplaced.label", { count: state.unplaced.value.length })}</summary>
      <ul>${state.unplaced.value.map((fix) => html`<li key=${fix.fix} class="small">${fix.number || t("call.withheld")} · ${fixWords(fix)}</li>`)}</ul></details>`}
    ${closed.length > 0 && html`<details class="closed"><summary>${t("queue.closed", { count: closed.length })}</summary>
      <ol>${closed.map((one) => html`<${Row} key=${one.id} one=${one} state=${state} />`)}</ol></details>`}
  </nav>`;
}

/**
 * The rows in the order that was there when the pointer came; new ones last: nothing moves under it.
 * @param {Case[]} rows @param {string[]} ids
 */
function inOrder(rows, ids) {
  const place = new Map(ids.map((id, index) => [id, index]));
  return [...rows].sort((a, b) => (place.get(a.id) ?? ids.length) - (place.get(b.id) ?? ids.length));
}

/**
 * One case; made anew only when something of it has changed: in a surge there are hundreds.
 * @param {{one: Case, state: ConsoleState}} props
 */
function Row({ one, state }) {
  const isShown = state.selected.value === one.id && !state.isOpening.value;
  const lent = lentOf(one);
  const unit = one.unit ? state.units.value.get(one.unit)?.label ?? one.unit
    : lent ? `${lent.label} (${state.districts.label(lent.region)})` : null;
  const likely = one.maybe ? state.cases.value.get(one.maybe) : undefined;
  const { seat } = state.about.value;
  return useMemo(() => drawn(one, state, { isShown, unit, likely, seat }),
    [one, isShown, unit, likely, seat, language.value]);
}

/**
 * @param {Case} one @param {ConsoleState} state
 * @param {{isShown: boolean, unit: string | null, likely: Case | undefined, seat: string}} known
 */
function drawn(one, state, { isShown, unit, likely, seat }) {
  const { word: bandWord, class: bandClass } = band(one);
  const choose = () => {
    state.isOpening.value = false;
    state.select(one.id);
  };
  const call = one.call && one.call.phase !== "ended" ? one.call : null;
  const rowClass = call ? (rings(one) || isOffered(one, seat) ? "rings" : isMine(one, seat) ? "mine" : "") : "";
  return html`<li><button class="row ${rowClass} ${levelClass(levelOf(one.severity))} ${bandClass}" data-band=${bandWord}
      data-case=${one.id} aria-current=${isShown ? "true" : undefined} onClick=${choose}>
    <span class="row-top"><${Severity} level=${levelOf(one.severity)} word=${t(`severity.${one.severity}`)} />
      <span class="grow"></span><${Waiting} one=${one} /></span>
    ${call && html`<span class="row-call"><span aria-hidden="true">${PHASE_SIGN[call.phase]}</span>
      <strong>${phaseWords(one, seat)}</strong> <${LineKind} line=${call.line} /> <${Since} fromMs=${call.since_ms} /></span>`}
    ${call?.unanswered && html`<span class="row-unanswered"><span aria-hidden="true">✎</span> <strong>${call.unanswered.text}</strong> <${Since} fromMs=${call.unanswered.at_ms} /></span>`}
    <span class="row-address two-lines" title=${one.address}>${one.address || html`<span class="muted">${t("case.no_address")}</span>`}</span>
    ${call && one.maybe && !one.address && html`<span class="small muted clip">${t("case.maybe", { where: nameOf(likely) })}</span>`}
    ${one.complaint && html`<span class="row-complaint two-lines">${one.complaint}</span>`}
    ${one.incident && html`<span class="row-incident">${TAGS.map((tag) => html`<${TagMark} key=${tag} tag=${tag} count=${one.incident?.here[tag] ?? 0} />`)}</span>`}
    <span class="row-who muted small two-lines">${unit
      ? [unit, one.stage && word("stage", one.stage), one.hospital_name].filter(Boolean).join(" · ")
      : [`“${one.alias}”`, call?.number].filter(Boolean).join(" · ")}
      ${one.linked.length > 0 && html` <strong>${t("same.count", { count: one.linked.length })}</strong>`}</span>
  </button></li>`;
}

/** The time since, the one thing of a row that changes by itself. @param {{fromMs: number}} props */
function Since({ fromMs }) {
  return html`<time class="number">${countdown(now.value - fromMs)}</time>`;
}

/** @param {{one: Case}} props */
function Waiting({ one }) {
  if (one.closed_ms) return html`<span class="muted small">${word("outcome", one.outcome ?? "")}</span>`;
  const age = countdown(now.value - one.opened_ms);
  if (one.call && one.call.phase !== "ended" && !one.address) return null; // its call's own time counts
  if (one.unit || lentOf(one)) return html`<time class="number muted" title=${t("queue.open_for")}>${age}</time>`;
  return html`<strong class="waiting"><span class="small">${t("queue.no_unit")}</span>
    <time class="number">${age}</time></strong>`;
}
