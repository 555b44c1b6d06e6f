/**
 * The map: units, places, accuracy circles and tracks (Leaflet), with or without street tiles.
 *
 *     const map = new CaseMap(element, { tileUrl: "" });          // "" = no tiles: graticule and scale
 *     map.setMarker({ id: "unit-7", kind: "unit", lat, lon, label: "A7", headingDeg: 40, accuracyM: 12 });
 *     map.setTrack("unit-7", [[lat, lon], …]);
 *     map.setRoute("unit-7", [[lat, lon], …]);
 *     map.remove("unit-7");
 *
 * Positions are WGS-84; conversion happens at the edge, once. The map fits all markers until a person
 * moves it, then stays; `fit` takes it back. A stale position is hollow and says its age.
 * Needs map.css and vendor/leaflet.css. Leaflet is loaded only when the first map is made.
 */
import { effect } from "./view.js";
import { ageInWords, serverNow } from "./clock.js";
import { language, t } from "./i18n.js";
import { placeLabels } from "./map_labels.js";
import { drawRoads } from "./map_roads.js";

/** @typedef {typeof import("leaflet")} Leaflet */
/** @typedef {"unit" | "scene" | "hospital" | "caller"} Kind */
/** @typedef {[number, number]} LatLon degrees, WGS-84 */

/**
 * @typedef {object} Marker
 * @property {string} id
 * @property {Kind} kind
 * @property {number} lat @property {number} lon degrees, WGS-84
 * @property {string} label short: the unit's call sign, the hospital's name
 * @property {number} [headingDeg] 0 = north, clockwise
 * @property {number} [accuracyM] radius, drawn as a circle
 * @property {number} [atMs] time of the position, hub's clock
 * @property {number} [staleAfterS] older than this is drawn hollow with its age
 * @property {boolean} [chosen]
 * @property {boolean} [foreign] of a neighbouring district: striped, in a ring
 */

/** @type {Record<Kind, string>} shapes in a box of 24 by 24, told apart without colour */
const SHAPES = {
  unit: "M12 1 20 22 12 17.5 4 22Z",
  scene: "M12 1 23 12 12 23 1 12Z",
  hospital: "M2 2H22V22H2ZM10 6V10H6V14H10V18H14V14H18V10H14V6Z",
  caller: "M12 1A9 9 0 0 1 21 10C21 16 12 23 12 23S3 16 3 10A9 9 0 0 1 12 1Z",
};
/** Graticule steps in degrees: the one that gives at least 90 px between lines is taken. */
const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 45];

/** Waits between attempts to load Leaflet, s; the last one repeats. */
const LOAD_AGAIN_S = [0.5, 1, 2, 5, 10];

/**
 * Leaflet, however often the server is gone while it is asked for: the element says so meanwhile.
 * A browser may remember that a module failed, so each further attempt has an address of its own.
 * @param {HTMLElement} element @returns {Promise<Leaflet>}
 */
async function loadLeaflet(element) {
  for (let tries = 0; ; tries += 1) {
    try {
      const leaflet = await import(`./vendor/leaflet.js${tries ? `?try=${tries}` : ""}`);
      delete element.dataset.missing;
      return leaflet;
    } catch {
      element.dataset.missing = t("map.missing");
      const waitS = LOAD_AGAIN_S[Math.min(tries, LOAD_AGAIN_S.length - 1)];
      await new Promise((resolve) => setTimeout(resolve, waitS * 1000));
    }
  }
}

export class CaseMap {
  /** @type {Leaflet | null} */ #leaflet = null;
  /** @type {import("leaflet").Map | null} */ #map = null;
  /** @type {import("leaflet").LayerGroup | null} */ #graticule = null;
  /** @type {Map<string, Marker>} */ #markers = new Map();
  /** @type {Map<string, {points: LatLon[], kind: "track" | "route"}>} */ #lines = new Map();
  /** @type {Map<string, import("leaflet").Layer[]>} */ #layers = new Map();
  #movedByPerson = false;
  #moving = false;
  #placing = 0;
  /** @type {(() => void)[]} */ #undo = [];

  /**
   * @param {HTMLElement} element with a height
   * @param {{tileUrl?: string, roadsUrl?: string, attribution?: string, centre?: LatLon, zoom?: number,
   *   onClick?: (lat: number, lon: number) => void, onMarker?: (id: string) => void}} [options]
   *   `tileUrl` with {z}, {x}, {y}; without it no address outside this server is ever asked,
   *   and the lines of `roadsUrl` are drawn instead
   */
  constructor(element, options = {}) {
    this.element = element;
    this.options = options;
    element.classList.add("case-map");
    /** Resolves when Leaflet is there and the map is drawn. */
    this.ready = this.#start();
  }

  async #start() {
    const leaflet = await loadLeaflet(this.element);
    const { tileUrl, attribution = "", centre = [31.23, 121.47], zoom = 12 } = this.options;
    const map = leaflet.map(this.element, {
      zoomSnap: 0.25, attributionControl: false, preferCanvas: false, zoomAnimation: false,
    }).setView(centre, zoom);
    this.#leaflet = leaflet;
    this.#map = map;
    leaflet.control.scale({ imperial: false }).addTo(map);
    if (tileUrl) {
      leaflet.control.attribution({ prefix: false }).addTo(map);
      leaflet.tileLayer(tileUrl, { attribution, maxZoom: 19 }).addTo(map);
    } else {
      this.#graticule = leaflet.layerGroup().addTo(map);
      if (this.options.roadsUrl) drawRoads(leaflet, map, this.options.roadsUrl).then((undo) => this.#undo.push(undo));
    }
    map.on("move zoom resize", () => this.#drawGraticule());
    map.on("moveend zoomend resize", () => this.#placeSoon());
    map.on("dragstart", () => { this.#movedByPerson = true; });
    map.on("zoomstart", () => { if (!this.#moving) this.#movedByPerson = true; });
    map.on("click", (event) => this.options.onClick?.(event.latlng.lat, event.latlng.lng));
    const sized = new ResizeObserver(() => map.invalidateSize({ pan: false }));
    sized.observe(this.element);
    // Ages in words go on counting, and follow the language.
    const timer = setInterval(() => this.#redrawAged(), 5000);
    const words = effect(() => void (language.value && this.#sayInWords()));
    this.#undo = [() => sized.disconnect(), () => clearInterval(timer), words, () => map.remove()];
    this.#drawGraticule();
    this.#fitUnlessMoved();
  }

  #sayInWords() {
    this.element.setAttribute("aria-label", t("map.label"));
    for (const way of ["in", "out"]) {
      const button = /** @type {HTMLElement} */ (this.element.querySelector(`.leaflet-control-zoom-${way}`));
      button.title = t(`map.zoom_${way}`);
      button.setAttribute("aria-label", button.title);
    }
    this.#redrawAll();
  }

  /** @param {Marker} marker new, or moved: the id says which */
  setMarker(marker) {
    const before = this.#markers.get(marker.id);
    if (before && isSame(before, marker)) return; // a town has hundreds, and most stand still
    const isNew = !before;
    this.#markers.set(marker.id, marker);
    this.#redraw(marker.id);
    if (isNew || !this.#isInView(marker)) this.#fitUnlessMoved();
  }

  /** The way already driven. @param {string} id @param {LatLon[]} points oldest first */
  setTrack(id, points) {
    this.#lines.set(`${id}/track`, { points, kind: "track" });
    this.#redraw(`${id}/track`);
  }

  /** The way ahead. @param {string} id @param {LatLon[]} points */
  setRoute(id, points) {
    this.#lines.set(`${id}/route`, { points, kind: "route" });
    this.#redraw(`${id}/route`);
  }

  /** Takes a marker, its track and its route away. @param {string} id */
  remove(id) {
    this.#markers.delete(id);
    for (const key of [id, `${id}/track`, `${id}/route`]) {
      this.#lines.delete(key);
      this.#redraw(key);
    }
  }

  /** Shows all markers, and follows them again. */
  fit() {
    this.#movedByPerson = false;
    this.#fitUnlessMoved();
  }

  destroy() {
    for (const undo of this.#undo.splice(0)) undo();
    this.#map = null;
  }

  #fitUnlessMoved() {
    if (!this.#map || !this.#leaflet || this.#movedByPerson || !this.#markers.size) return;
    const bounds = this.#leaflet.latLngBounds([...this.#markers.values()].map(at));
    this.#moving = true;
    this.#map.fitBounds(bounds.pad(0.15), {
      maxZoom: 15, animate: false, paddingTopLeft: [60, 40], paddingBottomRight: [110, 40], // for controls and labels
    });
    this.#moving = false;
  }

  /** @param {Marker} marker */
  #isInView(marker) {
    return this.#map?.getBounds().contains(at(marker)) ?? true;
  }

  #redrawAll() {
    for (const id of [...this.#lines.keys(), ...this.#markers.keys()]) this.#redraw(id);
  }

  /** Ages in words go on counting; what has none stays as it is. */
  #redrawAged() {
    for (const [id, marker] of this.#markers) if (marker.atMs !== undefined) this.#redraw(id);
  }

  /** @param {string} id */
  #redraw(id) {
    if (!this.#map || !this.#leaflet) return;
    const marker = this.#markers.get(id);
    const before = this.#layers.get(id) ?? [];
    // A pin that is there is moved, not made anew: it keeps the pointer and the keyboard's focus.
    const pin = before.find((layer) => layer instanceof /** @type {Leaflet} */ (this.#leaflet).Marker);
    for (const layer of before) if (!marker || layer !== pin) layer.remove();
    const layers = marker ? this.#markerLayers(marker, /** @type {any} */ (pin)) : this.#lineLayers(id);
    for (const layer of layers) layer.addTo(this.#map);
    if (layers.length) this.#layers.set(id, layers);
    else this.#layers.delete(id);
    if (marker || pin) this.#placeSoon();
  }

  /** Labels are placed once, when all that changes now has changed, and before it is painted. */
  #placeSoon() {
    this.#placing ||= requestAnimationFrame(() => {
      this.#placing = 0;
      placeLabels(this.element);
    });
  }

  /** @param {string} id @returns {import("leaflet").Layer[]} */
  #lineLayers(id) {
    const line = this.#lines.get(id);
    if (!line || line.points.length < 2 || !this.#leaflet) return [];
    return [this.#leaflet.polyline(line.points, { className: `map-${line.kind}`, interactive: false })];
  }

  /**
   * @param {Marker} marker @param {import("leaflet").Marker | undefined} known its pin so far
   * @returns {import("leaflet").Layer[]}
   */
  #markerLayers(marker, known) {
    const leaflet = /** @type {Leaflet} */ (this.#leaflet);
    const icon = leaflet.divIcon({
      className: "map-marker", iconSize: [28, 28], html: markerElement(marker),
    });
    const pin = known?.setLatLng(at(marker)).setIcon(icon) ?? this.#newPin(marker, icon);
    pin.setZIndexOffset(marker.chosen ? 1000 : 0);
    if (!marker.accuracyM) return [pin];
    const circle = leaflet.circle(at(marker), {
      radius: marker.accuracyM, className: "map-accuracy", interactive: false,
    });
    return [circle, pin];
  }

  /** @param {Marker} marker @param {import("leaflet").DivIcon} icon */
  #newPin(marker, icon) {
    const leaflet = /** @type {Leaflet} */ (this.#leaflet);
    const pin = leaflet.marker(at(marker), { icon, keyboard: true, riseOnHover: true, title: marker.label });
    return pin.on("click", () => this.options.onMarker?.(marker.id));
  }

  #drawGraticule() {
    if (!this.#map || !this.#graticule || !this.#leaflet) return;
    this.#graticule.clearLayers();
    const bounds = this.#map.getBounds();
    const { x: width } = this.#map.getSize();
    const perPx = (bounds.getEast() - bounds.getWest()) / Math.max(1, width);
    const step = STEPS.find((degrees) => degrees / perPx >= 90) ?? 45;
    const digits = Math.max(0, Math.ceil(-Math.log10(step)));
    const lines = (/** @type {number} */ low, /** @type {number} */ high) => {
      const found = [];
      for (let at = Math.ceil(low / step) * step; at <= high; at += step) found.push(at);
      return found;
    };
    for (const lon of lines(bounds.getWest(), bounds.getEast())) {
      this.#line([[bounds.getSouth(), lon], [bounds.getNorth(), lon]]);
      // The corners belong to the latitudes and to the control of the zoom.
      const free = (bounds.getEast() - lon) / perPx > 100 && (lon - bounds.getWest()) / perPx > 60;
      if (free) this.#tick([bounds.getNorth(), lon], `${lon.toFixed(digits)}°`, "lon");
    }
    for (const lat of lines(bounds.getSouth(), bounds.getNorth())) {
      this.#line([[lat, bounds.getWest()], [lat, bounds.getEast()]]);
      const free = (bounds.getNorth() - lat) / perPx > 24; // else its figures were cut off
      if (free) this.#tick([lat, bounds.getEast()], `${lat.toFixed(digits)}°`, "lat");
    }
  }

  /** @param {LatLon[]} ends */
  #line(ends) {
    if (!this.#leaflet || !this.#graticule) return;
    this.#leaflet.polyline(ends, { className: "map-graticule", interactive: false }).addTo(this.#graticule);
  }

  /** @param {LatLon} place @param {string} text @param {string} axis */
  #tick(place, text, axis) {
    if (!this.#leaflet || !this.#graticule) return;
    const icon = this.#leaflet.divIcon({ className: `map-tick ${axis}`, html: text, iconSize: [0, 0] });
    this.#leaflet.marker(place, { icon, interactive: false, keyboard: false }).addTo(this.#graticule);
  }
}

/** @param {Marker} one @param {Marker} other */
function isSame(one, other) {
  const names = /** @type {(keyof Marker)[]} */ (Object.keys({ ...one, ...other }));
  return names.every((name) => one[name] === other[name]);
}

/** @param {Marker} marker @returns {LatLon} */
function at({ lat, lon }) {
  return [lat, lon];
}

/** @param {Marker} marker @returns {HTMLElement} */
function markerElement({ kind, label, headingDeg, atMs, staleAfterS, chosen, foreign }) {
  const ageMs = atMs === undefined ? 0 : serverNow() - atMs;
  const stale = staleAfterS !== undefined && ageMs > staleAfterS * 1000;
  const element = document.createElement("div");
  element.className = `map-pin ${kind}${stale ? " stale" : ""}${chosen ? " chosen" : ""}${foreign ? " foreign" : ""}`;
  element.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${SHAPES[kind]}"
    fill-rule="evenodd" /></svg><span></span>`;
  const shape = /** @type {SVGElement} */ (element.firstElementChild);
  if (headingDeg !== undefined && kind === "unit") shape.style.transform = `rotate(${headingDeg}deg)`;
  const words = /** @type {HTMLElement} */ (element.lastElementChild);
  words.textContent = stale ? `${label} · ${ageInWords(ageMs)}` : label; // never as HTML
  return element;
}
