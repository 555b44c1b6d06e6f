/** The neighbouring districts: what they ask of us, and their units and hospitals, below our own. */
import { html } from "/static/shared/view.js";
import { durationInWords, now, timeOfDay } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { Severity, levelClass, levelOf } from "/static/shared/severity.js";
import { word } from "/static/shared/words.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */

/** Requests of neighbours for a unit of ours, the oldest first. @param {{state: ConsoleState}} props */
export function Cards({ state }) {
  return html`${state.districts.cards.value.map((card, index) => html`<${RequestCard} key=${card.request} card=${card} state=${state} isFirst=${index === 0} />`)}`;
}

/** @param {{card: import("./districts.js").Card, state: ConsoleState, isFirst: boolean}} props */
function RequestCard({ card, state, isFirst }) {
  const { reasons } = state.districts;
  const reason = reasons.value[card.request] ?? "";
  const district = state.districts.label(card.region);
  const unit = state.units.value.get(card.unit)?.label ?? card.unit;
  const grant = () => state.act({ action: "grant_unit", request: card.request });
  const refuse = () => reason.trim() && state.act({ action: "refuse_unit", request: card.request, reason: reason.trim() });
  return html`<section class="unit-card card urgent ${levelClass(levelOf(card.severity))}" data-request=${card.request} aria-label=${t("district.card_label")}>
    <p><${Severity} level=${levelOf(card.severity)} word=${t(`severity.${card.severity}`)} />
      <strong>${t("district.card", { district, unit })}</strong> <time class="number muted small">${durationInWords(now.value - card.at_ms)}</time></p>
    <p class="address">${card.address || t("case.no_address")}</p>
    <p class="muted small">${[card.complaint, card.reason, `${district} · ${card.seat}`].filter(Boolean).join(" · ")}</p>
    <p class="small">${t("district.card_hint", { unit })}</p>
    <div class="actions"><button class="main" data-key=${isFirst ? "grant" : undefined} onClick=${grant}>${t("district.grant", { unit })} ${isFirst && html`<kbd>Q</kbd>`}</button>
      <input name="refusal" data-key=${isFirst ? "refuse" : undefined} maxlength="4000" autocomplete="off" placeholder=${t("district.refuse_why")} aria-label=${t("district.refuse_why")} value=${reason}
        onKeyDown=${(/** @type {KeyboardEvent} */ event) => { if (event.key === "Enter" && !event.isComposing) refuse(); }}
        onInput=${(/** @type {any} */ event) => { reasons.value = { ...reasons.value, [card.request]: event.target.value }; }} />
      <button disabled=${!reason.trim()} onClick=${refuse}>${t("district.refuse")} ${isFirst && html`<kbd>R</kbd>`}</button></div>
  </section>`;
}

/** @param {{state: ConsoleState}} props */
export function Neighbours({ state }) {
  const all = state.districts.neighbours.value;
  if (!all.length) return null;
  return html`<section class="units neighbours">${all.map((one) => {
    const age = one.state_ms === null ? "" : durationInWords(now.value - one.state_ms);
    return html`<div key=${one.region} class=${one.connected && !one.is_stale ? "" : "cut-off"} data-neighbour=${one.region}>
      <h3 class="small">${one.label} <span class=${one.connected ? "muted" : "warn"}>${one.connected ? t("district.connected") : t("district.cut_since", { time: timeOfDay(one.since_ms) })}
        ${one.is_stale && age && ` · ${t("district.state_age", { age })}`}${one.left_out > 0 ? ` · ${t("district.left_out", { count: one.left_out })}` : ""}</span></h3>
      <ul>${one.units.map((unit) => html`<li class="unit foreign" key=${unit.name} data-foreign-unit=${unit.name}><span aria-hidden="true">${unit.status === "free" ? "◌" : "◍"}</span>
          <span class="clip">${unit.label}</span><span class="muted clip">${word("status", unit.status)}${unit.serves ? "" : ` · ${t("units.off_shift")}`}</span>
          <span class="small muted number">${unit.heard_ms ? durationInWords(now.value - unit.heard_ms) : t("units.never")}</span></li>`)}
        ${one.hospitals.map((place) => html`<li class="unit foreign hospital" key=${place.name}><span aria-hidden="true">${place.diversion ? "⊘" : "+"}</span>
          <span class="clip">${place.label}</span><span class="muted clip">${place.stated_ms === null ? t("hospitals.not_stated")
            : [place.beds !== null && t("hospitals.beds", { count: place.beds }), place.resus_bays !== null && t("hospitals.resus_bays", { count: place.resus_bays })].filter(Boolean).join(" · ")}</span>
          <span class="small muted number">${place.stated_ms === null ? "" : durationInWords(now.value - place.stated_ms)}</span></li>`)}</ul></div>`;
  })}</section>`;
}

/** @param {ConsoleState} state @param {(marker: any) => void} put */
export function drawNeighbours(state, put) {
  for (const one of state.districts.neighbours.value) {
    const kindOf = { foreign: true };
    for (const unit of one.units) {
      if (!unit.position) continue;
      put({ id: `foreign/${one.region}/${unit.name}`, kind: "unit", lat: unit.position.latitude_deg, lon: unit.position.longitude_deg, ...kindOf,
        label: `${unit.label} · ${one.label}`, headingDeg: unit.position.heading_deg ?? undefined, atMs: unit.position.at_ms,
        staleAfterS: one.connected ? 60 : 0 });
    }
    for (const call of state.districts.queue.value) {
      const at = call.home === one.region ? call.position ?? call.place : null;
      if (at) put({ id: `case/${call.id}`, kind: "scene", lat: at.latitude_deg, lon: at.longitude_deg, ...kindOf, label: one.label, chosen: call.id === state.selected.value });
    }
    for (const place of one.hospitals) {
      put({ id: `foreign/${one.region}/${place.name}`, kind: "hospital", lat: place.latitude_deg, lon: place.longitude_deg, ...kindOf, label: `${place.label} · ${one.label}` });
    }
  }
}
