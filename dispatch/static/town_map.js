/** The map: hospitals, units with their way and age, cases; a click places the case that is written. */
import { effect, html, useEffect, useRef } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";
import { drawNeighbours } from "./neighbours.js";
import { CaseMap } from "/static/shared/map.js";

/** @typedef {import("./state.js").ConsoleState} ConsoleState */

/** @param {{state: ConsoleState}} props */
export function TownMap({ state }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const map = useRef(/** @type {CaseMap | null} */ (null));
  const { known, tiles, roads } = state.about.value;
  useEffect(() => {
    if (!known || !box.current) return undefined;
    const made = new CaseMap(box.current, {
      tileUrl: tiles.url, roadsUrl: roads, attribution: tiles.attribution,
      onClick: (lat, lon) => placePin(state, lat, lon),
      onMarker: (id) => id.startsWith("case/") && state.select(id.slice(5)),
    });
    map.current = made;
    const shown = new Set();
    const stop = effect(() => draw(state, made, shown));
    return () => {
      stop();
      made.destroy();
    };
  }, [known, tiles.url]);
  const placing = state.isOpening.value || state.editing.value !== null;
  return html`<div class="map-box ${placing ? "placing" : ""}"><div class="map" ref=${box}></div>
    <div class="map-foot small"><span class="muted clip">${t(placing ? "form.click_map" : tiles.url || roads ? "map.label" : "map.scale_only")}</span>
      <button onClick=${() => map.current?.fit()}>${t("map.fit")}</button></div></div>`;
}

/** @param {ConsoleState} state @param {number} lat @param {number} lon */
function placePin(state, lat, lon) {
  const position = { latitude_deg: lat, longitude_deg: lon, source: "dispatcher" };
  if (state.isOpening.value) state.form.value = { ...state.form.value, position };
  else if (state.editing.value) state.edits.value = { ...state.edits.value, position };
}

/** @param {ConsoleState} state @param {CaseMap} map @param {Set<string>} shown ids that are drawn */
function draw(state, map, shown) {
  const wanted = new Set();
  /** @param {any} marker */
  const put = (marker) => {
    wanted.add(marker.id);
    map.setMarker(marker);
  };
  for (const one of state.hospitals.value) {
    put({ id: `hospital/${one.name}`, kind: "hospital", lat: one.latitude_deg, lon: one.longitude_deg,
      label: one.label, chosen: state.case.value?.hospital === one.name });
  }
  for (const one of state.queue.value) {
    const at = one.position && one.position_confirmed ? one.position : one.place ?? one.position;
    if (!at) continue;
    put({ id: `case/${one.id}`, kind: "scene", lat: at.latitude_deg, lon: at.longitude_deg,
      label: short(one.address || one.alias), chosen: one.id === state.selected.value,
      accuracyM: at.radius_m ?? undefined });
  }
  drawNeighbours(state, put);
  drawCaller(state, map, put);
  for (const unit of state.units.value.values()) drawUnit(state, map, unit, put);
  const written = state.isOpening.value ? state.form.value : state.editing.value ? state.edits.value : null;
  if (written?.position) {
    put({ id: "written", kind: "caller", lat: written.position.latitude_deg, lon: written.position.longitude_deg,
      label: t("map.this_case") });
  }
  for (const id of [...shown].filter((one) => !wanted.has(one))) map.remove(id);
  shown.clear();
  for (const id of wanted) shown.add(id);
}

/** Whether two places are more than some 30 m from each other. @param {any} a @param {any} b */
function apart(a, b) {
  return Math.hypot(a.latitude_deg - b.latitude_deg, a.longitude_deg - b.longitude_deg) > 0.0003;
}

/**
 * The way of the caller of the shown case, and where sources say that he is once somebody confirmed a place.
 * @param {ConsoleState} state @param {CaseMap} map @param {(marker: any) => void} put
 */
function drawCaller(state, map, put) {
  const one = state.case.value;
  const place = one?.place;
  if (!one || !place) return;
  if (one.position && one.position_confirmed && apart(one.position, place)) {
    put({ id: "caller", kind: "caller", lat: place.latitude_deg, lon: place.longitude_deg, label: t("map.caller"),
      accuracyM: place.radius_m ?? undefined, atMs: place.at_ms });
  }
  const way = (state.detail.value?.fixes ?? []).map((fix) => /** @type {[number, number]} */ ([fix.latitude_deg, fix.longitude_deg]));
  map.setTrack(`case/${one.id}`, way);
}

/**
 * @param {ConsoleState} state @param {CaseMap} map @param {import("./state.js").Unit} unit
 * @param {(marker: any) => void} put
 */
function drawUnit(state, map, unit, put) {
  const at = unit.position;
  if (!at) return;
  const chosen = unit.case !== null && unit.case === state.selected.value;
  put({ id: `unit/${unit.name}`, kind: "unit", lat: at.latitude_deg, lon: at.longitude_deg,
    label: unit.position_origin === "live" ? unit.label : `${unit.label} · ${t(`origin.${unit.position_origin}`)}`,
    headingDeg: at.heading_deg ?? undefined, accuracyM: chosen ? at.radius_m ?? undefined : undefined,
    atMs: at.at_ms, staleAfterS: unit.position_stale_after_s, chosen });
  const way = chosen ? state.tracks.value.get(unit.name) ?? [] : [];
  map.setTrack(`unit/${unit.name}`, way.map(([lat, lon]) => [lat, lon]));
}

/** @param {string} address */
function short(address) {
  return address.length > 24 ? `${address.slice(0, 23)}…` : address;
}
