/** The case as QR codes, one after the other, as large as the screen allows. */
import { encodeQR } from "/static/shared/vendor/qr.js";
import { html, useEffect, useMemo, useRef, useState } from "/static/shared/view.js";
import { t } from "/static/shared/i18n.js";

/** Five a second: a camera of 30 pictures a second sees each of them several times. */
const EVERY_MS = 200;
/** White around the code, modules: readers need four (ISO/IEC 18004, section 9.1). */
const BORDER = 4;

/** @param {{frames: string[]}} props */
export function QrCycle({ frames }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const [index, setIndex] = useState(0);
  const codes = useMemo(() => {
    const options = /** @type {const} */ ({ ecc: "medium", encoding: "alphanumeric", border: BORDER });
    const first = encodeQR(frames[0], "raw", options);
    const version = (first.length - 2 * BORDER - 17) / 4; // all as large as the first: none jumps
    return [first, ...frames.slice(1).map((text) => encodeQR(text, "raw", { ...options, version }))];
  }, [frames]);
  useEffect(() => {
    const timer = setInterval(() => setIndex((now) => (now + 1) % codes.length), EVERY_MS);
    return () => clearInterval(timer);
  }, [codes]);
  const at = index % codes.length;
  useEffect(() => {
    if (canvas.current) draw(canvas.current, codes[at]);
  }, [codes, at]);
  return html`<figure class="qr-cycle">
    <canvas ref=${canvas} data-index=${at} data-count=${codes.length} role="img" aria-label=${t("bay.qr_picture")}></canvas>
    <figcaption class="number">${t("bay.qr_of", { index: at + 1, count: codes.length })}</figcaption></figure>`;
}

/**
 * Draws a code with whole pixels for each module: the browser enlarges it without smoothing.
 * @param {HTMLCanvasElement} canvas @param {boolean[][]} code
 */
function draw(canvas, code) {
  const scale = 8;
  canvas.width = canvas.height = code.length * scale;
  const context = canvas.getContext("2d");
  if (!context) return;
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "#000";
  code.forEach((row, y) => row.forEach((dark, x) => {
    if (dark) context.fillRect(x * scale, y * scale, scale, scale);
  }));
}
