/** Calls of neighbouring districts: behind our own in the queue, with the district's name in words; hollow while it is cut off. */
import { html } from "/static/shared/view.js";
import { countdown, durationInWords, now, timeOfDay } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { Severity, levelClass, levelOf } from "/static/shared/severity.js";
import { word } from "/static/shared/words.js";
import { LineKind, PHASE_SIGN, phaseWords } from "./call_bar.js";
import { rings } from "./call_order.js";
import { distance } from "/static/shared/words.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./districts.js").ForeignCase} ForeignCase */

/** @param {{state: ConsoleState}} props */
export function ForeignQueue({ state }) {
  const { queue, left } = state.districts;
  const gone = left.value;
  if (!queue.value.length && !gone) return null;
  return html`<section class="foreign-queue"><h3 class="small muted">${t("district.calls")}</h3>
    ${gone && html`<p class="small muted" role="status">${leftWords(state, gone)}</p>`}
    <ol>${queue.value.map((one) => html`<${Row} key=${one.id} one=${one} state=${state} />`)}</ol></section>`;
}

/** @param {ConsoleState} state @param {{why: string, seat: string, home: string}} gone */
function leftWords(state, { why, seat, home }) {
  return t(`district.left_${why}`, { district: state.districts.label(home), seat: seat || "?" });
}

/** @param {{one: ForeignCase, state: ConsoleState}} props */
function Row({ one, state }) {
  const call = one.call;
  const choose = () => {
    state.isOpening.value = false;
    state.select(one.id);
  };
  const isShown = state.selected.value === one.id && !state.isOpening.value;
  const isCut = !(state.districts.neighbour(one.home)?.connected ?? false);
  return html`<li><button class="row foreign ${rings(one) && !isCut ? "rings" : ""} ${isCut ? "cut-off" : ""} ${levelClass(levelOf(one.severity))}"
      data-case=${one.id} data-home=${one.home} aria-current=${isShown ? "true" : undefined} onClick=${choose}>
    <span class="row-top"><${Severity} level=${levelOf(one.severity)} word=${t(`severity.${one.severity}`)} />
      <strong class="district clip">${state.districts.label(one.home)}</strong></span>
    ${call && html`<span class="row-call"><span aria-hidden="true">${PHASE_SIGN[call.phase]}</span>
      <strong>${phaseWords(one, state.about.value.seat)}</strong> <${LineKind} line=${call.line} /> ${call.phase !== "ended" && html`<time class="number">${countdown(now.value - call.since_ms)}</time>`}</span>`}
    ${isCut && html`<span class="small warn">${cutWords(state, one.home)}</span>`}
    <span class="row-address two-lines">${one.address || html`<span class="muted">${t("case.no_address")}</span>`}</span>
    <span class="row-who muted small clip">${[`“${one.alias}”`, call?.number].filter(Boolean).join(" · ")}</span>
  </button></li>`;
}

/** @param {ConsoleState} state @param {string} region */
export function cutWords(state, region) {
  const one = state.districts.neighbour(region);
  return t("district.cut_off", { district: state.districts.label(region), time: timeOfDay(one?.since_ms ?? now.value) });
}

/** Whose case it is, and what of what was done here its home has not answered. @param {{one: ForeignCase, state: ConsoleState}} props */
export function HomeLine({ one, state }) {
  const isCut = !(state.districts.neighbour(one.home)?.connected ?? false);
  const waiting = one.asked.filter((asked) => asked.error === null);
  const refused = one.asked.filter((asked) => asked.error !== null);
  const seen = () => state.act({ action: "understood", case: one.id });
  return html`<section class="home-line card ${isCut ? "cut-off" : ""}" data-home=${one.home}>
    <p><strong>${t("district.case_of", { district: state.districts.label(one.home) })}</strong> <span class="muted">${t("district.case_hint")}</span></p>
    ${isCut && html`<p class="warn" role="status">${cutWords(state, one.home)} · ${t("district.waits_hint")}</p>`}
    ${waiting.map((asked) => html`<p class="small" key=${asked.request}>○ ${t("district.waits", {
      what: t(`district.did_${asked.action}`), district: state.districts.label(one.home), age: durationInWords(now.value - asked.at_ms) })}${asked.text && `: ${asked.text}`}</p>`)}
    ${refused.map((asked) => html`<p class="small warn" key=${asked.request}>✕ ${t("district.refused_here", {
      what: t(`district.did_${asked.action}`), reason: asked.error ?? "" })}${asked.text && `: ${asked.text}`}</p>`)}
    ${refused.length > 0 && html`<button onClick=${seen}>${t("problem.seen")}</button>`}
  </section>`;
}

/** The unit that a neighbour sends to our case. @param {import("./state.js").Case} one */
export const lentOf = (one) => one.wanted?.find((wanted) => wanted.state === "accepted");

/** With whom our own case is shared. @param {{one: import("./state.js").Case, state: ConsoleState}} props */
export function SharedLine({ one, state }) {
  if (!one.shared?.length) return null;
  const region = one.call?.seat.split("/")[1] ? one.call.seat.split("/")[0] : "";
  const names = one.shared.map((each) => state.districts.label(each)).join(", ");
  const cut = one.shared.filter((each) => !state.districts.neighbour(each)?.connected);
  return html`<p class="shared-line small" role="status">⇄ ${region ? t("district.has_call", { district: state.districts.label(region) })
    : t("district.shared_with", { districts: names })}
    ${cut.map((each) => html` <span class="warn">${cutWords(state, each)}</span>`)}
    ${region && cut.includes(region) && html` <button onClick=${() => state.act({ action: "take_over_call", case: one.id })}>${t("district.take_over")}</button>`}</p>`;
}

/** What was asked of neighbours for this case, and how far it is. @param {{one: import("./state.js").Case, state: ConsoleState}} props */
export function WantedUnits({ one, state }) {
  return html`${(one.wanted ?? []).map((wanted) => {
    const there = state.districts.neighbour(wanted.region);
    const unit = there?.units.find((each) => each.name === wanted.unit);
    const words = t(`district.unit_${wanted.state}`, { district: state.districts.label(wanted.region), unit: wanted.label, seat: wanted.by });
    const takeBack = () => state.act({ action: "take_back_unit", case: one.id, request: wanted.request });
    return html`<p class="wanted small" data-state=${wanted.state} key=${wanted.request}>${{ asked: "○", accepted: "●", refused: "✕", taken_back: "–" }[wanted.state]} ${words}
      ${wanted.reason && html` <span class="muted">${wanted.reason}</span>`}
      ${wanted.state === "accepted" && unit && html` <strong>${word("status", unit.status)}</strong>${unit.heard_ms ? html` <span class="muted">${durationInWords(now.value - unit.heard_ms)}</span>` : ""}`}
      ${there && !there.connected && ["asked", "accepted"].includes(wanted.state) && html` <span class="warn">${cutWords(state, wanted.region)}</span>`}
      ${wanted.state === "asked" && html` <button onClick=${takeBack}>${t("district.take_back")}</button>`}</p>`;
  })}`;
}

/** Units of neighbours that would be there sooner. @param {{state: ConsoleState}} props */
export function ElsewhereUnits({ state }) {
  const found = state.suggestions.value?.elsewhere ?? [];
  const chosen = state.question.value?.kind === "ask_unit" ? state.question.value.name : null;
  if (!found.length) return null;
  return html`<ol class="elsewhere">${found.map((one, index) => html`<li key=${`${one.region}/${one.name}`}>
    <button class="choice foreign" data-elsewhere=${one.name} aria-pressed=${chosen === `${one.region}/${one.name}`}
      onClick=${() => { state.reason.value = ""; state.question.value = { kind: "ask_unit", name: `${one.region}/${one.name}` }; }}>
      ${index === 0 && html`<kbd>4</kbd>`}<span class="choice-words"><span class="clip">${one.label} · ${one.district}</span>
      <span class="small muted">${elsewhereWords(one)}</span></span></button></li>`)}</ol>`;
}

/** @param {import("./districts.js").Elsewhere} one */
export function elsewhereWords(one) {
  const minutes = Math.max(1, Math.round(one.drive_s / 60));
  const why = one.saves_s === null ? t("why.neighbour_only") : t("why.neighbour_nearer", { minutes: Math.max(1, Math.round(one.saves_s / 60)) });
  return `${why} · ${t(one.by_road ? "why.way_road" : "why.way", { distance: distance(one.distance_m), minutes })}`;
}

/** @param {ConsoleState} state @param {import("./state.js").Case} one @param {string} name region/unit */
export function askNeighbour(state, one, name) {
  const found = (state.suggestions.value?.elsewhere ?? []).find((each) => `${each.region}/${each.name}` === name);
  const [region, unit] = name.split("/");
  const district = state.districts.label(region);
  const label = found?.label ?? state.districts.neighbour(region)?.units.find((each) => each.name === unit)?.label ?? unit;
  const reason = state.reason.value.trim();
  return {
    title: t("district.ask_title", { district, unit: label }),
    consequences: [t("district.ask", { district, unit: label, address: one.address })],
    why: found ? elsewhereWords(found) : null,
    extra: html`<label class="reason">${t("ask.why")}<input name="reason" maxlength="4000" autocomplete="off" value=${state.reason.value}
      onInput=${(/** @type {any} */ event) => { state.reason.value = event.target.value; }} /></label>`,
    ready: !state.isSending("ask_unit", one.id),
    button: t("district.ask_do", { district }),
    action: { action: "ask_unit", case: one.id, neighbour: region, unit, ...(reason && { reason }) },
  };
}
