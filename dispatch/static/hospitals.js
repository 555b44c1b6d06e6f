/** All hospitals in one list: the room that each stated and how long ago, and who is on the way there. */
import { html } from "/static/shared/view.js";
import { durationInWords, now } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Hospital} Hospital */

/** @param {{state: ConsoleState}} props */
export function Hospitals({ state }) {
  return html`<section class="units hospitals"><h3 class="visually-hidden">${t("hospitals.label")}</h3>
    <ul>${state.hospitals.value.map((one) => html`<${Row} key=${one.name} one=${one} />`)}</ul></section>`;
}

/** @param {{one: Hospital}} props */
function Row({ one }) {
  const { room } = one;
  const ageMs = room ? now.value - room.stated_ms : 0;
  const old = ageMs > one.old_after_s * 1000;
  const kind = !room ? "unknown" : room.diversion ? "diverts" : "takes";
  const shape = { unknown: "?", diverts: "⊘", takes: "+" }[kind];
  const counts = room && [room.beds !== null && t("hospitals.beds", { count: room.beds }),
    room.resus_bays !== null && t("hospitals.resus_bays", { count: room.resus_bays })].filter(Boolean).join(" · ");
  return html`<li class="unit hospital ${kind}" data-hospital=${one.name}>
    <span aria-hidden="true">${shape}</span>
    <strong class="two-lines" title=${one.label}>${one.label}</strong>
    <span class="two-lines number ${old ? "room-old" : ""}">${room?.diversion && html`<strong class="warn">${t("hospitals.diversion")}</strong> `}
      ${counts} ${room?.reason}${!room && html`<span class="muted">${t("hospitals.not_stated")}</span>`}${one.bound > 0
        && html` <span class="muted">${t("hospitals.bound", { count: one.bound })}</span>`}</span>
    <span class="small ${old ? "warn" : "muted"} number">${room && t(old ? "hospitals.old" : "hospitals.stated", { age: durationInWords(ageMs) })}</span>
  </li>`;
}
