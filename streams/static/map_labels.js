/**
 * Where the label of each pin stands: beside its pin, over no other pin and no other label.
 *
 * A label that finds no place shows under the pointer and while its pin has the keyboard's focus;
 * that of a chosen pin always shows. Nearest first: a label is only ever at its own pin.
 */

/** @typedef {{left: number, top: number, right: number, bottom: number}} Box CSS px */
/** @typedef {"right" | "left" | "below" | "above"} Side */

/** In the order in which they are tried; the distances are those of map.css. @type {Side[]} */
const SIDES = ["right", "left", "below", "above"];
const GAP = 4;

/** Gives each pin below an element its `data-side`: a side, or "none". @param {HTMLElement} element */
export function placeLabels(element) {
  const frame = element.getBoundingClientRect();
  const pins = [...element.querySelectorAll(".map-pin")].map((pin) => ({
    pin: /** @type {HTMLElement} */ (pin),
    box: pin.getBoundingClientRect(),
    label: /** @type {HTMLElement} */ (pin.lastElementChild),
    chosen: pin.classList.contains("chosen"),
  }));
  /** @type {Box[]} */
  const labels = [];
  for (const { pin, box, label, chosen } of pins.sort((a, b) => Number(b.chosen) - Number(a.chosen))) {
    const size = { width: label.offsetWidth, height: label.offsetHeight };
    const places = SIDES.map((side) => ({ side, at: beside(box, size, side) }))
      .filter(({ at }) => isInside(at, frame) && !labels.some((other) => overlap(at, other)));
    const free = places.find(({ at }) => !pins.some((other) => other.pin !== pin && overlap(at, other.box)));
    // A chosen one may cover another pin, rather than say nothing.
    const found = free ?? (chosen ? places[0] ?? { side: SIDES[0], at: beside(box, size, SIDES[0]) } : null);
    pin.dataset.side = found?.side ?? "none";
    if (found) labels.push(found.at);
  }
}

/** @param {Box} pin @param {{width: number, height: number}} size @param {Side} side @returns {Box} */
function beside(pin, { width, height }, side) {
  const left = side === "right" ? pin.right + GAP : side === "left" ? pin.left - GAP - width
    : (pin.left + pin.right - width) / 2;
  const top = side === "below" ? pin.bottom + GAP : side === "above" ? pin.top - GAP - height
    : (pin.top + pin.bottom - height) / 2;
  return { left, top, right: left + width, bottom: top + height };
}

/** @param {Box} box @param {Box} frame */
function isInside(box, frame) {
  return box.left >= frame.left && box.right <= frame.right && box.top >= frame.top && box.bottom <= frame.bottom;
}

/** @param {Box} one @param {Box} other */
function overlap(one, other) {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}
