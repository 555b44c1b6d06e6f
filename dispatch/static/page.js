/** The dispatcher's console: queue, case, map and units; everything by keyboard. */
import { effect, html, render } from "/static/shared/view.js";
import { now, timeOfDay } from "/static/shared/clock.js";
import { loadMessages, t } from "/static/shared/i18n.js";
import { MissingLine } from "/static/shared/missing_line.js";
import { LinkBar, LinkWord } from "/static/shared/status_bar.js";
import { Preferences } from "/static/shared/theme.js";
import { CaseColumn } from "./case_column.js";
import { NewCase } from "./case_form.js";
import { isOffered, rings } from "./call_order.js";
import { Hospitals } from "./hospitals.js";
import { KeySheet } from "./key_sheet.js";
import { listenToKeys } from "./keys.js";
import { lentOf } from "./foreign.js";
import { Cards, Neighbours } from "./neighbours.js";
import { Queue } from "./queue.js";
import { speech } from "./speech.js";
import { MicElsewhere } from "./speech_card.js";
import { ConsoleState } from "./state.js";
import { SurgeBar, SurgeSwitch } from "./surge.js";
import { talk } from "./talk.js";
import { TownMap } from "./town_map.js";
import { TroubleBar } from "./trouble.js";
import { Units } from "./units.js";

await loadMessages("/static/page/messages/", "/static/shared/caller_video/messages/");
const state = new ConsoleState();
talk.load();
speech.start();
effect(() => speech.follow(state));
listenToKeys(state);

function Page() {
  const { region, seat, known } = state.about.value;
  const waiting = state.queue.value.filter((one) => !one.unit && !lentOf(one)).length;
  const ringing = [...state.queue.value, ...state.districts.queue.value].filter((one) => rings(one) || isOffered(one, seat)).length;
  document.title = `${ringing ? `☎ ${ringing} ` : waiting ? `(${waiting}) ` : ""}${t("console.title")}`;
  return html`<div class="dispatch">
    <${LinkBar} socket=${state.socket} />
    <${TroubleBar} state=${state} />
    <${SurgeBar} state=${state} />
    <${MissingLine} missing=${state.missing.value} nameOf=${(/** @type {string} */ source) => state.units.value.get(source)?.label ?? source} />
    <header class="status-bar">
      <h1 class="clip grow">${t("console.title")}${known && html` <span class="muted">${region} · ${seat}</span>`}</h1>
      ${ringing > 0 && html`<strong class="ringing-count" role="status">☎ ${t("console.ringing", { count: ringing })}</strong>`}
      <span class="clip" role="status">${t("console.counts", { open: state.queue.value.length, waiting })}</span>
      <time class="number clock">${timeOfDay(now.value)}</time>
      <${MicElsewhere} state=${state} />
      <${SurgeSwitch} state=${state} />
      <${LinkWord} socket=${state.socket} />
      <${Preferences} />
    </header>
    <main class="columns">
      <${Queue} state=${state} />
      ${state.isOpening.value ? html`<${NewCase} state=${state} />` : html`<${CaseColumn} state=${state} />`}
      <aside class="town live" aria-label=${t("map.label")}>
        <${TownMap} state=${state} />
        <${Units} state=${state} />
        <${Hospitals} state=${state} />
        <${Neighbours} state=${state} />
      </aside>
    </main>
    <${Cards} state=${state} />
    <${KeySheet} />
  </div>`;
}

render(html`<${Page} />`, /** @type {HTMLElement} */ (document.getElementById("page")));

// On paper: dark on white, and nothing folded away.
addEventListener("beforeprint", () => {
  const { dataset } = document.documentElement;
  dataset.shown = dataset.theme ?? "dark";
  dataset.theme = "light";
  for (const one of document.querySelectorAll(".fixes")) one.setAttribute("open", "");
});
addEventListener("afterprint", () => {
  const { dataset } = document.documentElement;
  dataset.theme = dataset.shown ?? "dark";
});
