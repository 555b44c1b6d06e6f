/** The places that fit the address that is written: a list below it, chosen by arrow keys or a click. */
import { html, useEffect, useRef, useSignal } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";
import { distance } from "/static/shared/words.js";
import { sourceWords } from "./located.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */
/** @typedef {import("./state.js").Form} Form */
/** @typedef {{name: string, latitude_deg: number, longitude_deg: number, radius_m: number, source: string, matched: string}} Hit */

/** Letters from which it is searched; of Chinese two say much. */
const LEAST = 2;
/** Pause in the typing after which it is searched. */
const PAUSE_MS = 200;

/** @param {{state: ConsoleState, id: string | null, form: Form, change: (form: Form) => void}} props */
export function PlaceHits({ id, form, change }) {
  const found = useSignal(/** @type {Hit[]} */ ([]));
  const trouble = useSignal("");
  const chosen = useRef("");
  const query = form.address.trim();
  useEffect(() => {
    if (query.length < LEAST || query === chosen.current) {
      found.value = [];
      return undefined;
    }
    const cancel = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const answer = await fetch(`/api/places?q=${encodeURIComponent(query)}&case=${id ?? ""}`, { signal: cancel.signal });
        const body = answer.ok ? await answer.json() : { found: [], trouble: null };
        found.value = body.found;
        trouble.value = body.trouble ?? "";
      } catch {
        if (!cancel.signal.aborted) found.value = []; // no link: the bar on top says so
      }
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      cancel.abort();
    };
  }, [query, id]);
  /** @param {Hit} hit */
  const choose = (hit) => {
    chosen.current = hit.name;
    found.value = [];
    const { latitude_deg, longitude_deg, radius_m, source } = hit;
    change({ ...form, address: hit.name, position: { latitude_deg, longitude_deg, radius_m, source: `address/${source}` } });
    /** @type {HTMLElement | null} */ (document.querySelector("[name=complaint]"))?.focus();
  };
  if (!found.value.length && !trouble.value) return null;
  return html`<div class="hits" role="group" aria-label=${t("hits.label")} onKeyDown=${alongHits}>
    ${found.value.map((hit) => html`<button type="button" key=${`${hit.name}${hit.latitude_deg}`} data-hit onClick=${() => choose(hit)}>
      <span>${hit.name}${hit.matched && hit.matched !== hit.name ? ` (${hit.matched})` : ""}</span> <span class="small muted">± ${distance(hit.radius_m)} · ${sourceWords(`address/${hit.source}`)}</span></button>`)}
    ${trouble.value && html`<p class="small warn">${t("hits.trouble")}</p>`}
  </div>`;
}

/** From the address down into the list. @param {KeyboardEvent} event */
export function toPlaces(event) {
  if (event.key !== "ArrowDown") return;
  const first = /** @type {HTMLElement | null} */ (document.querySelector("[data-hit]"));
  if (!first) return;
  event.preventDefault();
  first.focus();
}

/** Up and down in the list, and up out of it; the form's own keys do not hear of it. @param {KeyboardEvent} event */
function alongHits(event) {
  if (event.key === "Enter") event.stopPropagation();
  const here = document.activeElement;
  const next = event.key === "ArrowDown" ? here?.nextElementSibling : event.key === "ArrowUp"
    ? here?.previousElementSibling ?? document.querySelector("[name=address]") : null;
  if (next instanceof HTMLElement) {
    event.preventDefault();
    next.focus();
  }
}
