/** All units in one list: what each does, and how old what is known of it is. */
import { html } from "/static/shared/view.js";
import { ageInWords, now } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { word } from "/static/shared/words.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */

/** @param {{state: ConsoleState}} props */
export function Units({ state }) {
  const units = [...state.units.value.values()];
  return html`<section class="units"><h3 class="visually-hidden">${t("units.label")}</h3>
    <ul>${units.map((unit) => html`<${Row} key=${unit.name} unit=${unit} state=${state} />`)}</ul></section>`;
}

/** @param {{unit: import("./state.js").Unit, state: ConsoleState}} props */
function Row({ unit, state }) {
  const one = unit.case ? state.cases.value.get(unit.case) : null;
  const kind = !unit.in_reach ? "silent" : one ? "busy" : "free";
  const shape = { free: "○", busy: "●", silent: "✕" }[kind];
  const doing = one ? [unit.stage ? word("stage", unit.stage) : t("party.sent"), one.address].join(" · ") : t("units.free");
  const failed = Object.entries(unit.sensors).filter(([, sensor]) => sensor.state === "failed").map(([name]) => name);
  const heard = unit.heard_ms ? ageInWords(now.value - unit.heard_ms) : t("units.never");
  return html`<li class="unit ${kind}">
    <span aria-hidden="true">${shape}</span>
    <strong class="clip">${unit.label}</strong>
    <span class="two-lines ${one ? "" : "muted"}">${doing}${failed.length > 0 && html` <span class="warn">${t("units.failed", { what: failed.join(", ") })}</span>`}</span>
    <span class="small ${kind === "silent" ? "warn" : "muted"} number">${kind === "silent" ? t("units.silent", { age: heard }) : heard}</span>
  </li>`;
}
