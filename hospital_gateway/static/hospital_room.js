/**
 * The room of this hospital: what it states now, and the form by which it states it. Key R, or one tap.
 * The form stands in the board, above its foot: nothing is covered, and what was begun stays.
 */
import { html, signal, useEffect, useRef } from "/static/shared/view.js";
import { durationInWords, now } from "/static/shared/clock.js";
import { Delivery } from "/static/shared/delivery.js";
import { t } from "/static/shared/i18n.js";

/** @typedef {import("./state.js").ArrivalState} ArrivalState */
/** @typedef {{beds: number | null, resus_bays: number | null, diversion: boolean, reason: string}} Stated */
/** @typedef {Stated & {role: string, seat: string, stated_ms: number, state: "made" | "delivered" | "refused",
 *   problem: string | null}} Room */

/** The most that a hospital can state of either. */
const MOST = 999;

export const roomIsOpen = signal(false);
/** What is being written and was not stated yet. */
const draft = signal(/** @type {Stated | null} */ (null));
const sending = signal(false);

/** @param {Stated | null} room @returns {string} "3 beds free · resus bays free: 1" */
function figures(room) {
  const said = /** @type {const} */ (["beds", "resus_bays"]).filter((name) => room?.[name] != null);
  return said.map((name) => t(`room.${name}_now`, { count: Number(room?.[name]) })).join(" · ");
}

/** @param {{room: Room}} props */
function Way({ room }) {
  if (room.state === "refused") return html`<strong class="room-refused">${t("room.refused", { reason: room.problem ?? "" })}</strong>`;
  return html`<${Delivery} state=${room.state} />`;
}

/** What is stated, in the foot; a tap opens the form. @param {{state: ArrivalState}} props */
export function RoomNow({ state }) {
  const room = state.room.value;
  const old = room !== null && now.value - room.stated_ms > (state.staleS.value.hospital_state ?? Infinity) * 1000;
  return html`<span class="room-now">
    <button aria-expanded=${roomIsOpen.value} onClick=${() => { roomIsOpen.value = !roomIsOpen.value; }}>
      ${t("room.title")} <kbd>R</kbd></button>
    ${room === null ? html`<span class="room-none">${t("room.none")}</span>`
      : html`<span class="number ${old ? "room-old" : ""}">${figures(room)}${figures(room) && " · "}
          ${old && "◷ "}${t(old ? "room.stated_old" : "room.stated", { age: durationInWords(now.value - room.stated_ms) })}</span>
        <${Way} room=${room} />`}</span>`;
}

/** In large letters, as long as this hospital is on diversion. @param {{state: ArrivalState}} props */
export function DiversionBand({ state }) {
  const room = state.room.value;
  if (!room?.diversion) return null;
  return html`<div class="diversion" role="status"><strong>⊘ ${t("room.on_diversion")}</strong>
    <span class="diversion-why">${room.reason}</span>
    <span class="number">${t("room.stated", { age: durationInWords(now.value - room.stated_ms) })}</span>
    <${Way} room=${room} /></div>`;
}

/** @param {{state: ArrivalState}} props */
export function RoomForm({ state }) {
  const open = roomIsOpen.value;
  useEffect(() => {
    if (open) /** @type {HTMLElement | null} */ (document.querySelector(".room-form [name=beds]"))?.focus();
  }, [open]);
  if (!open) return null;
  const room = draft.value ?? state.room.value ?? { beds: null, resus_bays: null, diversion: false, reason: "" };
  const set = (/** @type {Partial<Stated>} */ part) => {
    const { beds, resus_bays, diversion, reason } = { ...room, ...part };
    draft.value = { beds, resus_bays, diversion, reason };
  };
  const save = async (/** @type {Event} */ event) => {
    event.preventDefault();
    sending.value = true;
    const { beds, resus_bays, diversion, reason } = room;
    const done = await state.act({ action: "state_room", beds, resus_bays, diversion, reason, role: state.role.peek() });
    sending.value = false;
    if (!done) return;
    draft.value = null;
    roomIsOpen.value = false;
  };
  return html`<form class="room-form" aria-label=${t("room.label")} onSubmit=${save}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => { if (event.key === "Escape") roomIsOpen.value = false; }}>
    <${Count} name="beds" value=${room.beds} set=${set} />
    <${Count} name="resus_bays" value=${room.resus_bays} set=${set} />
    <div class="room-group room-diversion" role="group" aria-label=${t("room.diversion")}>
      <button type="button" aria-pressed=${!room.diversion} onClick=${() => set({ diversion: false })}>${t("room.open")}</button>
      <button type="button" aria-pressed=${room.diversion} onClick=${() => set({ diversion: true })}>${t("room.divert")}</button>
      ${room.diversion && html`<input name="reason" value=${room.reason} maxlength="400" required aria-label=${t("room.reason")}
        placeholder=${t("room.reason")} onInput=${(/** @type {any} */ event) => set({ reason: event.target.value })} />`}
    </div>
    <button class="main room-save" disabled=${sending.value}>${t(sending.value ? "room.sending" : "room.save")}</button>
    <button type="button" onClick=${() => { roomIsOpen.value = false; }}>${t("room.close")} <kbd>Esc</kbd></button>
  </form>`;
}

/**
 * A number by taps or by typing; empty is not stated.
 * @param {{name: "beds" | "resus_bays", value: number | null, set: (part: Partial<Stated>) => void}} props
 */
function Count({ name, value, set }) {
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const step = (/** @type {number} */ by) => {
    field.current?.setCustomValidity("");
    set({ [name]: Math.min(MOST, Math.max(0, (value ?? 0) + by)) });
  };
  const label = t(`room.${name}`);
  const read = (/** @type {any} */ event) => {
    const text = event.target.value.trim();
    const isGood = /^\d{0,3}$/.test(text); // what is no such number stays to be seen, and is not told
    event.target.setCustomValidity(isGood ? "" : t("room.bad", { most: MOST }));
    if (isGood) set({ [name]: text === "" ? null : Number(text) });
  };
  return html`<div class="room-group room-count" role="group" aria-label=${label}><b>${label}</b>
    <button type="button" aria-label=${t("room.less", { what: label })} onClick=${() => step(-1)}>−</button>
    <input ref=${field} name=${name} class="number" inputmode="numeric" value=${value ?? ""} placeholder="–" title=${t("room.not_stated")} aria-label=${label} onInput=${read} />
    <button type="button" aria-label=${t("room.more", { what: label })} onClick=${() => step(1)}>+</button></div>`;
}
