/** The roads of the town as lines on a map that has no tiles: drawn once, on a canvas below all else. */

/** @typedef {typeof import("leaflet")} Leaflet */
/** Widths in pixels, main roads first; what is not named is thin. @type {Record<string, number>} */
const WIDTHS = { motorway: 4, trunk: 4, primary: 3, secondary: 2.5, tertiary: 1.5 };
const THIN = 1;

/**
 * Fetches the lines and draws them; without any the map stays as it is.
 * @param {Leaflet} leaflet @param {import("leaflet").Map} map @param {string} url
 * @returns {Promise<() => void>} what takes them away
 */
export async function drawRoads(leaflet, map, url) {
  /** @type {[string, [number, number][]][]} */
  let lines = [];
  try {
    const answer = await fetch(url);
    if (answer.ok) lines = await answer.json();
  } catch {
    return () => {}; // no link: the grid is there, and the page says that it is cut
  }
  if (!lines.length || !map.getPane("mapPane")) return () => {};
  const pane = map.createPane("roads");
  pane.style.zIndex = "250"; // above tiles, below lines and pins
  pane.style.pointerEvents = "none";
  const renderer = leaflet.canvas({ pane: "roads", padding: 0.3 });
  const classes = [...new Set(lines.map(([name]) => name))];
  const layers = classes.map((name) => leaflet.polyline(
    lines.filter(([one]) => one === name).map(([, points]) => points),
    { renderer, pane: "roads", interactive: false, weight: WIDTHS[name] ?? THIN, smoothFactor: 1.5 }).addTo(map));
  const paint = () => {
    const color = getComputedStyle(map.getContainer()).getPropertyValue("--map-road").trim();
    for (const layer of layers) layer.setStyle({ color });
  };
  paint();
  map.getContainer().dataset.roads = String(lines.length);
  const themed = new MutationObserver(paint);
  themed.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return () => themed.disconnect();
}
