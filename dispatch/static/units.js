/** All units in one list: what each does and since when, what it can do, and how old what is known of it is. */
import { html } from "/static/shared/view.js";
import { ageInWords, countdown, now, timeOfDay } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { word } from "/static/shared/words.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */

/** @param {{state: ConsoleState}} props */
export function Units({ state }) {
  const units = [...state.units.value.values()];
  return html`<section class="units" tabindex="0" aria-label=${t("units.label")}><h3 class="visually-hidden">${t("units.label")}</h3>
    <ul>${units.map((unit) => html`<${Row} key=${unit.name} unit=${unit} state=${state} />`)}</ul></section>`;
}

/** What it does and since when: "on scene 04:12". @param {{unit: import("./state.js").Unit}} props */
function Status({ unit }) {
  const since = unit.status_since_ms === null ? "" : countdown(now.value - unit.status_since_ms);
  const times = Object.entries(unit.status_times).sort((a, b) => a[1] - b[1])
    .map(([status, atMs]) => `${word("status", status)} ${timeOfDay(atMs)}`);
  return html`<span class="status" title=${times.join("\n")}>${word("status", unit.status)} <time class="number">${since}</time></span>`;
}

/** @param {{unit: import("./state.js").Unit, state: ConsoleState}} props */
function Row({ unit, state }) {
  const one = unit.case ? state.cases.value.get(unit.case) : null;
  const kind = !unit.in_reach ? "silent" : one ? "busy" : "free";
  const shape = { free: "○", busy: "●", silent: "✕" }[kind];
  const failed = Object.entries(unit.sensors).filter(([, sensor]) => sensor.state === "failed").map(([name]) => name);
  const warnings = [!unit.on_shift && t("units.off_shift"), unit.in_area === false && t("units.out_of_area"),
    failed.length > 0 && t("units.failed", { what: failed.join(", ") })].filter(Boolean);
  const heard = unit.heard_ms ? ageInWords(now.value - unit.heard_ms) : t("units.never");
  const abilities = [unit.drill && t("origin.drill"), ...unit.abilities.map((one) => word("ability", one))].filter(Boolean).join(" · ");
  return html`<li class="unit ${kind}" data-unit=${unit.name}>
    <span aria-hidden="true">${shape}</span>
    <span class="unit-name"><strong class="clip">${unit.label}</strong>${abilities && html`<span class="small muted clip">${abilities}</span>`}</span>
    <span class="two-lines ${one ? "" : "muted"}"><${Status} unit=${unit} />${warnings.length > 0
      && html` <span class="warn">${warnings.join(" · ")}</span>`}${one && ` · ${one.address}`}</span>
    <span class="small ${kind === "silent" ? "warn" : "muted"} number">${kind === "silent" ? t("units.silent", { age: heard }) : heard}</span>
  </li>`;
}
