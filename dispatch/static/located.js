/** Where the caller is: the best position with radius and age, what speaks against it, and all fixes. */
import { html } from "/static/shared/view.js";
import { ageInWords, durationInWords, now } from "/static/shared/clock.js";
import { hasText, t } from "/static/shared/i18n.js";
import { distance, word } from "/static/shared/words.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Case} Case */
/** @typedef {import("./state.js").Fix} Fix */

/** @param {{one: Case, state: ConsoleState}} props */
export function Located({ one, state }) {
  const detail = state.detail.value;
  if (!one.call && !one.place) return null;
  const fixes = detail?.fixes ?? [];
  const unread = detail?.unread ?? [];
  return html`<section class="located card" aria-label=${t("place.label")}>
    <h3 class="muted">${t("place.label")}</h3>
    ${one.place ? html`<${Best} one=${one} state=${state} />`
      : html`<p><strong>${t("place.none")}</strong></p>`}
    ${(one.place?.notes ?? []).map((note) => html`<p class="warn" key=${note.code}>⚠ ${noteWords(note)}</p>`)}
    ${(fixes.length > 0 || unread.length > 0) && html`<details class="fixes"><summary>${t("place.all", { count: detail?.fixes_in_all ?? 0 })}
        ${unread.length > 0 && html` · <span class="warn">${t("place.unread", { count: unread.length })}</span>`}</summary>
      <ol>${[...fixes].reverse().map((fix) => html`<li key=${fix.fix} class="small">${fixWords(fix)}</li>`)}
      ${unread.map((one) => html`<li class="small warn">${sourceWords(one.source)}: ${one.field}: ${one.text}</li>`)}</ol></details>`}
  </section>`;
}

/** @param {{one: Case, state: ConsoleState}} props */
function Best({ one, state }) {
  const place = /** @type {NonNullable<Case["place"]>} */ (one.place);
  const ageMs = now.value - place.at_ms;
  const isElsewhere = place.notes.some((note) => note.code === "far_from_address");
  const confirm = () => state.confirmPlace(one);
  const radius = place.radius_m == null ? t("place.no_radius") : `± ${distance(place.radius_m)}`;
  return html`<p class="best"><strong class="number ${place.stale ? "hollow" : ""}">${radius}</strong>
      <span>${sourceWords(place.source)}</span>
      <span class=${place.stale ? "warn" : "muted"}>${t("place.age", { age: ageInWords(ageMs) })}</span>
      <span class="number muted small">${place.latitude_deg.toFixed(5)}°, ${place.longitude_deg.toFixed(5)}°</span>
      ${one.position && one.position_confirmed && !isElsewhere ? html`<span class="confirmed">✓ ${t("place.confirmed")}</span>`
        : !one.closed_ms && html`<button data-key="confirm-place" disabled=${state.isSending("amend_case", one.id)} onClick=${confirm}>
          ${t(isElsewhere ? "place.confirm_instead" : "place.confirm")} <kbd>C</kbd></button>`}</p>
    ${place.civic && html`<p>${place.civic} <button onClick=${() => state.takeAddress(one, /** @type {string} */ (place.civic))}>${t("place.take_address")}</button></p>`}`;
}

/** @param {import("./state.js").Note} note @returns {string} what speaks against the position */
function noteWords({ code, text, names, metres }) {
  const key = `place.note.${code}`;
  if (!hasText(key)) return text;
  const others = names.map(sourceWords);
  if (code === "impossible") return t(key, { text: `${others[0] ?? ""}: ${whyImpossible(text)}` });
  return t(key, { text, what: others.at(-1) ?? "", all: others.join(", "), apart: metres === null ? "" : distance(metres) });
}

/** @param {string} text the hub's words for why a position cannot be right @returns {string} the page's */
function whyImpossible(text) {
  const [, jump, far, ahead, times] = /: (?:(a jump)|(far outside)|measured (\d+) s after)[^(]*(?:\((\d+) times\))?/.exec(text) ?? [];
  const why = jump ? t("place.why.jump") : far ? t("place.why.far") : ahead ? t("place.why.ahead", { ahead: durationInWords(Number(ahead) * 1000) }) : text;
  return times ? `${why} (${times}×)` : why;
}

/** @param {Fix} fix @returns {string} what a source says of a place */
export function fixWords(fix) {
  const radius = fix.radius_m == null ? t("place.no_radius") : `± ${distance(fix.radius_m)}`;
  const sure = fix.confidence == null ? "" : ` (${Math.round(fix.confidence * 100)} %)`;
  const datum = fix.datum === "wgs84" ? "" : ` · ${fix.datum.toUpperCase()} → WGS-84`;
  const odd = fix.warnings.length ? ` · ⚠ ${fix.warnings.join("; ")}` : "";
  return `${sourceWords(fix.source)} · ${radius}${sure} · ${ageInWords(now.value - fix.at_ms)}${datum}${odd}`;
}

/** @param {string} source such as `aml/gnss` @returns {string} */
export function sourceWords(source) {
  const [way, how] = source.split("/");
  return [word("source", way), how && word("source", how)].filter(Boolean).join(" · ");
}
