/**
 * The arrival board: who is coming, most urgent first; beside them who is at the door or diverted.
 */
import { html, useEffect, useRef } from "/static/shared/view.js";
import { countdown, now, timeOfDay } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { StatusBar } from "/static/shared/status_bar.js";
import { word } from "/static/shared/words.js";
import { AlarmSound } from "./alarm_sound.js";
import { AcknowledgeButton, ArrivalCard, SeenBy, caseHash } from "./arrival_card.js";
import { BayNote, isPastDispatch } from "./bay_page.js";
import { DiversionBand, RoomForm, RoomNow, roomIsOpen } from "./hospital_room.js";
import { headline, nameOf, originBand, roleWord, rowsOf, sexAndAge, unitName } from "./card_words.js";

/** @typedef {import("./state.js").ArrivalState} ArrivalState */
/** @typedef {import("./card_words.js").Row} Row */

/** Cards on the wall; the rest is counted. */
const MOST = 6;
/** After a touch the order stays for so long, ms: nothing moves under a finger. */
const STILL_MS = 4000;

/** @param {{state: ArrivalState}} props */
export function Board({ state }) {
  const rows = rowsOf(state.cases.value.values());
  const coming = useStillOrder(rows.filter((row) => row.card.status === "inbound"));
  const aside = rows.filter((row) => row.card.status !== "inbound");
  const shown = coming.rows.slice(0, MOST);
  const rest = coming.rows.length - shown.length;
  const looks = [...new Set(shown.map((row) => row.card.case))].join();
  useEffect(() => {
    state.looks.value = looks ? looks.split(",") : [];
  }, [looks]);
  useEffect(() => {
    const press = (/** @type {KeyboardEvent} */ event) => {
      const row = shown[Number(event.key) - 1];
      const plain = !event.ctrlKey && !event.metaKey && !event.altKey && !isTyping(event.target);
      if (event.key.toLowerCase() === "b" && plain) location.hash = "#/bay";
      if (event.key.toLowerCase() === "r" && plain) {
        event.preventDefault(); // or it stands in the field that takes the focus
        roomIsOpen.value = !roomIsOpen.value;
      }
      if (row && !event.ctrlKey && !event.metaKey && !isTyping(event.target)) location.hash = caseHash(row);
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  });
  const label = state.hospital.value?.label ?? "";
  return html`<div class="arrival-board ${aside.length ? "with-aside" : ""}">
    <${StatusBar} socket=${state.socket} title=${t("board.receiving", { label })}>
      <span class="inbound-count">${t("board.inbound", { count: coming.rows.length })}</span>
      <${AlarmSound} rows=${coming.rows} />
      <a class="button bay-link" href="#/bay">${t("bay.title")} <kbd>B</kbd></a>
      <${RoleChoice} state=${state} /><//>
    <${DiversionBand} state=${state} />
    <main class="board-main" ...${coming.touch}>
      ${shown.length ? html`<div class="arrivals count-${shown.length}">
          ${shown.map((row, index) => html`<${ArrivalCard} key=${row.key} row=${row} state=${state}
            number=${index + 1} />`)}</div>`
        : html`<${Nobody} state=${state} />`}
    </main>
    ${aside.length > 0 && html`<aside class="hand-over" tabindex="0" aria-label=${t("handover.title")}>
      <h2>${t("handover.title")}</h2>
      ${aside.map((row) => html`<${AsideCard} key=${row.key} row=${row} state=${state} />`)}</aside>`}
    <${RoomForm} state=${state} />
    <footer class="board-foot"><strong>${t("information")}</strong>
      <${RoomNow} state=${state} />
      ${rest > 0 && html`<span class="rest">${t("board.rest", { count: rest })}</span>`}</footer>
  </div>`;
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof Element && target.closest("input, textarea, select") !== null;
}

/**
 * Keeps the order of the rows while somebody touches them; new rows come last meanwhile.
 * @param {Row[]} rows sorted
 */
function useStillOrder(rows) {
  const touchedMs = useRef(0);
  const order = useRef(/** @type {string[]} */ ([]));
  const touch = () => { touchedMs.current = Date.now(); };
  let kept = rows;
  void now.value; // when the touch is over, the order is looked at again
  if (Date.now() - touchedMs.current < STILL_MS) {
    const at = new Map(order.current.map((key, index) => [key, index]));
    kept = [...rows].sort((a, b) => (at.get(a.key) ?? Infinity) - (at.get(b.key) ?? Infinity) || 0);
  }
  order.current = kept.map((row) => row.key);
  return { rows: kept, touch: { onPointerDown: touch, onPointerMove: touch, onFocusIn: touch, onKeyDown: touch } };
}

/** Nobody is coming: said in words, with what is known of the link. @param {{state: ArrivalState}} props */
function Nobody({ state }) {
  const upstream = state.hospital.value === null ? "connecting" : state.upstream.value.state;
  const words = { live: "board.nobody", connecting: "board.waiting" }[upstream] ?? "board.unknown";
  return html`<div class="nobody live">
    <p class="nobody-words">${t(words)}</p>
    ${upstream === "live" && html`<p class="muted">${t("board.nobody_since", { time: timeOfDay(now.value) })}</p>`}</div>`;
}

/** What this seat is: asked once, kept, changed here. @param {{state: ArrivalState}} props */
function RoleChoice({ state }) {
  return html`<label class="role-choice"><span class="visually-hidden">${t("role.label")}</span>
    <select value=${state.role.value} onChange=${(/** @type {any} */ event) => state.setRole(event.target.value)}>
      <option value="">${t("role.none")}</option>
      ${state.roles.value.map((name) => html`<option key=${name} value=${name}
        selected=${name === state.role.value}>${roleWord(name)}</option>`)}
    </select></label>`;
}

/** At the door, closed, or on the way elsewhere. @param {{row: Row, state: ArrivalState}} props */
function AsideCard({ row, state }) {
  const { card, patient } = row;
  const diverted = card.status === "stood_down";
  const band = originBand(card, patient);
  const dismiss = () => void state.act({ action: "dismiss", case: card.case });
  return html`<article class="card aside ${diverted ? "low" : ""} ${isPastDispatch(card) ? "" : "live"} ${band.class}" data-band=${band.word}
      data-case=${card.case} tabindex="0"
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => { if (event.key === "Enter" && event.target === event.currentTarget) location.hash = caseHash(row); }}>
    ${diverted ? html`<h3 class="stand-down">${t("diverted.title")}</h3>` : html`<${OffLoad} row=${row} />`}
    <p class="aside-headline" title=${headline(card, patient)}><a href=${caseHash(row)}>${headline(card, patient)}</a></p>
    <p><strong>${sexAndAge(patient)}</strong> ${nameOf(card, patient)} <span class="muted">${unitName(card) ?? ""}</span></p>
    <${BayNote} card=${card} />
    ${diverted && html`<p>${[card.diverted_to && t("diverted.to", { hospital: card.diverted_to }),
      card.stood_down_reason].filter(Boolean).join(" · ") || t("diverted.no_reason")}</p>`}
    ${card.status === "arrived" && html`<p class="aside-seen"><${SeenBy} card=${card} /></p>
      <${AcknowledgeButton} card=${card} state=${state} />`}
    ${(diverted || card.status === "closed" || (card.bay && !card.bay.confirmed)) && html`<button onClick=${dismiss}>${t("dismiss")}</button>`}
  </article>`;
}

/** The off-load clock: from the door to the hand-over as the crew stamped it, else to the end of the case. @param {{row: Row}} props */
function OffLoad({ row }) {
  const { card } = row;
  const arrived = card.milestones.arrived ?? card.bay?.at_ms;
  const end = card.milestones.handed_over ?? card.closed_ms ?? now.value;
  const outcome = card.outcome ?? "";
  const done = card.milestones.handed_over ? t("stage.handed_over") : t("handover.at_door");
  return html`<h3 class="off-load"><span>${card.status === "closed" ? word("outcome", outcome) : done}</span>
    ${arrived !== undefined && html`<output class="number" title=${t("handover.clock")}>${countdown(end - arrived)}</output>`}</h3>`;
}
