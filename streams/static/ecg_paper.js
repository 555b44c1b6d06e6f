/**
 * The ECG's paper: which lead stands where, the calibrated grid, the calibration pulse, the names.
 *
 * Scales are those of the recorder: 25 mm/s and 10 mm/mV (switchable), 1 mm small squares, 5 mm large
 * ones, a pulse of 1 mV for 200 ms (Kligfield et al., AHA/ACC/HRS 2007,
 * doi:10.1016/j.jacc.2007.01.024). A millimetre is `pxPerMm` CSS pixels: 96 / 25.4 by definition,
 * which is seldom a true millimetre on a screen, so a page lets it be set once per screen.
 */
import { token } from "./theme.js";

export const SPEEDS_MM_PER_S = [12.5, 25, 50];
export const GAINS_MM_PER_MV = [5, 10, 20];
export const LAYOUTS = /** @type {const} */ (["stacked", "3x4"]);
/** The order of a standard 12-lead. */
export const TWELVE_LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];

/** Baseline's place in a row: more room above, where R waves are. */
const BASELINE = 0.56;
const KEPT_AS = "forerun.pxPerMm";

/**
 * @typedef {object} Cell one lead's place, CSS px
 * @property {number} lead index of the lead; -1 when the record does not have it
 * @property {string} name
 * @property {number} x @property {number} y @property {number} width @property {number} height
 * @property {number} baseline y of 0 mV
 * @property {number} pulseX where the calibration pulse stands; -1 for none
 */
/** @typedef {{speed: number, gain: number, pxPerMm: number}} Scale */

/** @returns {number} CSS px per millimetre of this screen, as set once, else by CSS's definition */
export function keptPxPerMm() {
  let kept = NaN;
  try {
    kept = Number(localStorage.getItem(KEPT_AS) ?? NaN);
  } catch {
    // storage may be forbidden
  }
  return kept > 1 && kept < 20 ? kept : 96 / 25.4;
}

/** Keeps this screen's true size. @param {number} pxPerMm */
export function keepPxPerMm(pxPerMm) {
  localStorage.setItem(KEPT_AS, String(pxPerMm));
}

/** @param {string[]} names @returns {boolean} whether all twelve standard leads are there */
export function isTwelveLead(names) {
  return TWELVE_LEADS.every((name) => find(names, name) >= 0);
}

/** Lead names of devices differ in case ("AVR", "aVr"). @param {string[]} names @param {string} name */
function find(names, name) {
  return names.findIndex((other) => other.toLowerCase() === name.toLowerCase());
}

/** A standard lead's name as it is printed, whatever the device calls it. @param {string} name */
export function leadName(name) {
  return TWELVE_LEADS[find(TWELVE_LEADS, name)] ?? name;
}

/**
 * Lays the leads out.
 * @param {string[]} names of the leads, in the order of the samples
 * @param {"stacked" | "3x4"} layout
 * @param {string} rhythm the lead of the long row under 3x4
 * @param {number} width @param {number} height CSS px
 * @param {Scale} scale
 * @returns {Cell[]}
 */
export function layOut(names, layout, rhythm, width, height, scale) {
  const margin = pulseWidth(scale) + 3 * scale.pxPerMm;
  /** @type {string[][]} */
  let rows = names.map((name) => [name]);
  if (layout === "3x4") {
    rows = [0, 1, 2].map((row) => [0, 1, 2, 3].map((column) => TWELVE_LEADS[column * 3 + row]));
    rows.push([rhythm]);
  }
  const rowHeight = height / rows.length;
  return rows.flatMap((row, rowIndex) => {
    const y = rowIndex * rowHeight;
    const cellWidth = (width - margin) / row.length;
    return row.map((name, column) => ({
      lead: find(names, name), name,
      x: margin + column * cellWidth, y, width: cellWidth, height: rowHeight,
      baseline: y + rowHeight * BASELINE,
      pulseX: column === 0 ? scale.pxPerMm : -1,
    }));
  });
}

/** @param {Scale} scale @returns {number} CSS px of 200 ms */
function pulseWidth({ speed, pxPerMm }) {
  return 0.2 * speed * pxPerMm;
}

/**
 * Draws the paper: grid, pulses, names.
 * @param {CanvasRenderingContext2D} context scaled to CSS px
 * @param {number} width @param {number} height
 * @param {Cell[]} cells
 * @param {Scale} scale
 * @param {(name: string) => string} absent what to write for a lead that is not there
 */
export function drawPaper(context, width, height, cells, scale, absent) {
  context.fillStyle = token("--ecg-paper");
  context.fillRect(0, 0, width, height);
  drawGrid(context, width, height, scale.pxPerMm, 1, token("--ecg-grid-minor"), 0.5);
  drawGrid(context, width, height, scale.pxPerMm, 5, token("--ecg-grid-major"), 1);
  context.font = `600 13px ${token("--font")}`;
  context.textBaseline = "top";
  for (const cell of cells) {
    if (cell.pulseX >= 0) drawPulse(context, cell, scale);
    const text = cell.lead < 0 ? absent(cell.name) : cell.name;
    const x = cell.x + 3;
    const y = cell.y + 3;
    context.fillStyle = token("--ecg-paper");
    context.fillRect(x - 2, y - 1, context.measureText(text).width + 4, 15);
    context.fillStyle = token("--ecg-ink");
    context.fillText(text, x, y);
  }
}

/**
 * @param {CanvasRenderingContext2D} context @param {number} width @param {number} height
 * @param {number} pxPerMm @param {number} everyMm @param {string} colour @param {number} line px
 */
function drawGrid(context, width, height, pxPerMm, everyMm, colour, line) {
  const step = pxPerMm * everyMm;
  if (step < 3) return; // a mush of lines says less than none
  context.beginPath();
  for (let x = 0; x <= width; x += step) {
    context.moveTo(Math.round(x) + 0.5, 0);
    context.lineTo(Math.round(x) + 0.5, height);
  }
  for (let y = 0; y <= height; y += step) {
    context.moveTo(0, Math.round(y) + 0.5);
    context.lineTo(width, Math.round(y) + 0.5);
  }
  context.lineWidth = line;
  context.strokeStyle = colour;
  context.stroke();
}

/** 1 mV for 200 ms. @param {CanvasRenderingContext2D} context @param {Cell} cell @param {Scale} scale */
function drawPulse(context, cell, scale) {
  const width = pulseWidth(scale);
  const top = cell.baseline - scale.gain * scale.pxPerMm;
  context.save();
  context.beginPath();
  context.rect(0, cell.y, cell.x, cell.height);
  context.clip();
  context.beginPath();
  context.moveTo(cell.pulseX - scale.pxPerMm, cell.baseline);
  context.lineTo(cell.pulseX, cell.baseline);
  context.lineTo(cell.pulseX, top);
  context.lineTo(cell.pulseX + width, top);
  context.lineTo(cell.pulseX + width, cell.baseline);
  context.lineTo(cell.pulseX + width + scale.pxPerMm, cell.baseline);
  context.lineWidth = 1.25;
  context.strokeStyle = token("--ecg-ink");
  context.stroke();
  context.restore();
}
