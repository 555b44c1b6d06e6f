/** The map: ourselves with our track, the scene, the hospital; when we arrive, and how old that is. */
import { html, useEffect, useRef } from "/static/shared/view.js";
import { ageInWords, countdown, now, timeOfDay } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { CaseMap } from "/static/shared/map.js";

/** @typedef {import("./state.js").TabletState} TabletState */

/** @param {{state: TabletState}} props */
export function NavigateView({ state }) {
  return html`<div class="navigate-view"><${MapPane} state=${state} />
    <aside class="column"><${Where} state=${state} /></aside></div>`;
}

/** @param {{state: TabletState}} props */
function MapPane({ state }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const map = useRef(/** @type {CaseMap | null} */ (null));
  useEffect(() => {
    const tileUrl = state.unit.peek()?.map_tiles ?? "";
    const here = state.position.peek();
    const made = new CaseMap(/** @type {HTMLDivElement} */ (box.current), {
      tileUrl, ...(here ? { centre: [here.latitude_deg, here.longitude_deg] } : {}),
    });
    map.current = made;
    return () => made.destroy();
  }, []);
  const unit = state.unit.value;
  const position = state.position.value;
  const open = state.case.value;
  useEffect(() => {
    if (map.current && position && unit) {
      map.current.setMarker({ id: "unit", kind: "unit", label: unit.label,
        lat: position.latitude_deg, lon: position.longitude_deg,
        ...(position.heading_deg === null ? {} : { headingDeg: position.heading_deg }),
        ...(position.radius_m === null ? {} : { accuracyM: position.radius_m }),
        atMs: position.at_ms, staleAfterS: unit.stale_s.position, chosen: true });
      map.current.setTrack("unit", position.track);
    }
  }, [position, unit]);
  const scene = open?.scene;
  useEffect(() => {
    if (scene) map.current?.setMarker({ id: "scene", kind: "scene", lat: scene[0], lon: scene[1],
      label: t("navigate.scene") });
    else map.current?.remove("scene");
  }, [scene?.[0], scene?.[1]]);
  const place = placeOf(state);
  useEffect(() => {
    if (place) map.current?.setMarker({ id: "hospital", kind: "hospital", lat: place.latitude_deg,
      lon: place.longitude_deg, label: place.label });
    else map.current?.remove("hospital");
  }, [place?.hospital]);
  return html`<div class="map-pane"><div ref=${box} class="map-box"></div>
    ${open && !scene && html`<p class="no-scene" role="status"><strong>${t("navigate.no_scene")}</strong> ${t(open.address ? "navigate.ask_address" : "navigate.ask")}</p>`}
    <button class="fit" onClick=${() => map.current?.fit()}>${t("navigate.fit")}</button></div>`;
}

/** @param {TabletState} state */
function placeOf(state) {
  const hospital = state.case.value?.hospital?.hospital;
  return state.unit.value?.places.find((one) => one.hospital === hospital);
}

/**
 * The time to go, and how old the position is that it rests on: hollow once that is too old.
 * @param {{state: TabletState, arrival: import("./state.js").Arrival}} props
 */
export function TimeToGo({ state, arrival }) {
  const ageMs = now.value - arrival.position_ms;
  const limitS = state.unit.value?.stale_s.arrival;
  const stale = limitS !== undefined && ageMs > limitS * 1000;
  return html`<span class="number time-to-go ${stale ? "hollow" : ""}">${countdown(arrival.at_ms - now.value)}</span>
    <span class="small rests-on ${stale ? "" : "muted"}">${t("navigate.rests_on", { age: ageInWords(ageMs) })}</span>`;
}

/** @param {{state: TabletState}} props */
function Where({ state }) {
  const open = state.case.value;
  const arrival = state.arrival.value;
  const position = state.position.value;
  return html`
    <section class="card"><h2>${t("navigate.to")}</h2>
      <p class="destination">${open?.hospital?.name ?? t("call.not_chosen")}</p>
      ${arrival ? html`<p class="eta"><${TimeToGo} state=${state} arrival=${arrival} /></p>
          <p>${t("navigate.at", { time: timeOfDay(arrival.at_ms), km: (arrival.distance_m / 1000).toFixed(1) })}</p>`
        : html`<p class="muted">${t("navigate.no_eta")}</p>`}</section>
    <section class="card"><h2>${t("navigate.scene")}</h2>
      <p class="destination" title=${open?.address}>${open ? open.address || t("call.no_address") : "–"}</p></section>
    <section class="card"><h2>${t("navigate.here")}</h2>
      ${position ? html`<p>${position.speed_mps === null ? "" : t("navigate.speed",
          { kmh: Math.round(position.speed_mps * 3.6) })}</p>
          <p class="muted small">${ageInWords(now.value - position.at_ms)}
            ${position.radius_m !== null && html` · ${t("map.accuracy", { metres: Math.round(position.radius_m) })}`}
            ${position.origin !== "live" && html` · ${t(`origin.${position.origin}`)}`}</p>`
        : html`<p class="muted">${t("navigate.no_position")}</p>`}</section>`;
}
