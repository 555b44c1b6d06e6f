/**
 * Calipers over the ECG: drag across the paper, read milliseconds, rate and millivolts.
 *
 * A new press begins anew; a tap without a drag takes them away. They measure the paper (px, mm), so
 * they are as right as the scale that stands under the strip.
 */
import { html, useEffect, useRef, useState } from "./view.js";
import { t } from "./i18n.js";

/** @typedef {{x0: number, y0: number, x1: number, y1: number}} Box CSS px on the sheet */
/** Less than this is a tap, px. */
const TAP_PX = 4;

/**
 * What a drag of so many px means on the paper.
 * @param {number} dx @param {number} dy CSS px, dy downwards
 * @param {{speed: number, gain: number, pxPerMm: number}} scale
 * @returns {{ms: number, bpm: number, mv: number}}
 */
export function measure(dx, dy, { speed, gain, pxPerMm }) {
  const ms = (Math.abs(dx) / pxPerMm / speed) * 1000;
  return { ms, bpm: ms > 0 ? 60_000 / ms : Infinity, mv: -dy / pxPerMm / gain };
}

/** @param {{strip: import("./ecg_strip.js").EcgStrip}} props */
export function Calipers({ strip }) {
  const layer = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [box, setBox] = useState(/** @type {Box | null} */ (null));
  // On another scale the old box would lie.
  useEffect(() => setBox(null), [strip.speed.value, strip.gain.value, strip.pxPerMm.value]);

  const at = (/** @type {PointerEvent} */ event) => {
    const { left, top } = /** @type {HTMLDivElement} */ (layer.current).getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  const press = (/** @type {PointerEvent} */ event) => {
    layer.current?.setPointerCapture(event.pointerId);
    const { x, y } = at(event);
    setBox({ x0: x, y0: y, x1: x, y1: y });
  };
  const drag = (/** @type {PointerEvent} */ event) => {
    if (!box || !layer.current?.hasPointerCapture(event.pointerId)) return;
    const { x, y } = at(event);
    setBox({ ...box, x1: x, y1: y });
  };
  const lift = () => {
    if (box && Math.hypot(box.x1 - box.x0, box.y1 - box.y0) < TAP_PX) setBox(null);
  };
  return html`<div class="ecg-calipers" ref=${layer} onPointerDown=${press} onPointerMove=${drag}
    onPointerUp=${lift}>${box && html`<${Reading} box=${box} strip=${strip} />`}</div>`;
}

/** @param {{box: Box, strip: import("./ecg_strip.js").EcgStrip}} props */
function Reading({ box: { x0, y0, x1, y1 }, strip }) {
  const { ms, bpm, mv } = measure(x1 - x0, y1 - y0, strip.scale);
  const text = t("ecg.measured", {
    ms: ms.toFixed(0), bpm: Number.isFinite(bpm) ? bpm.toFixed(0) : "–", mv: mv.toFixed(2),
  });
  const style = {
    left: `${Math.min(x0, x1)}px`, top: `${Math.min(y0, y1)}px`,
    width: `${Math.abs(x1 - x0)}px`, height: `${Math.abs(y1 - y0)}px`,
  };
  return html`<div class="ecg-caliper-box" style=${style}>
    <output class="number">${text}</output></div>`;
}
