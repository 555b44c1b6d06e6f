/**
 * From coded ECG blocks to the strip: decodes, turns ADC integers into millivolts, pushes.
 *
 *     const feed = new EcgFeed(setup, { onDrawn });            // the setup as the server sends it
 *     html`<${EcgView} strip=${feed.strip} />`
 *     await feed.take(bytes, sourceMs);                        // one block, in any order
 *
 * Channels that are no voltage (respiration, pressure) do not belong on ECG paper and are left out;
 * `leftOut` names them. A damaged block is refused, counted in `refused` and told to `onError`.
 */
import { EcgBlockError, decodeFrame } from "./ecg_block.js";
import { leadName } from "./ecg_paper.js";
import { EcgStrip } from "./ecg_strip.js";

/** @typedef {import("./ecg_block.js").EcgSetup} EcgSetup */
/** @typedef {import("./ecg_block.js").Lead} Lead */
/** @typedef {Omit<import("./ecg_strip.js").StripOptions, "leads" | "rateHz">
 *   & {onError?: (error: EcgBlockError) => void}} FeedOptions */

/** Millivolts in one physical unit, as WFDB headers and devices write it. */
const MILLIVOLTS = new Map([["mv", 1], ["uv", 1e-3], ["µv", 1e-3], ["μv", 1e-3], ["nv", 1e-6], ["v", 1e3]]);

/** @param {Lead} lead @returns {number | undefined} millivolts per unit; undefined for no voltage */
function millivoltsPerUnit(lead) {
  return MILLIVOLTS.get((lead.physical_unit ?? "mV").toLowerCase());
}

export class EcgFeed {
  refused = 0;

  /** @param {EcgSetup} setup @param {FeedOptions} [options] */
  constructor(setup, options = {}) {
    this.setup = setup;
    this.options = options;
    /** Columns of the setup that are shown. */
    this.columns = setup.leads.flatMap((lead, n) => (millivoltsPerUnit(lead) === undefined ? [] : [n]));
    this.leftOut = setup.leads.filter((lead) => millivoltsPerUnit(lead) === undefined)
      .map((lead) => lead.name);
    this.strip = new EcgStrip({
      ...options,
      leads: this.columns.map((n) => leadName(setup.leads[n].name)),
      rateHz: setup.sampling_frequency_hz,
    });
  }

  /**
   * Takes one coded block.
   * @param {Uint8Array} bytes as `streams/ecg_block.py` made it
   * @param {number} sourceMs source time of its first sample, hub's clock, ms since 1970
   * @returns {Promise<void>}
   */
  async take(bytes, sourceMs) {
    if (!this.columns.length) return;
    let frame;
    try {
      frame = await decodeFrame(this.setup, bytes);
    } catch (error) {
      if (!(error instanceof EcgBlockError)) throw error;
      this.refused += 1;
      this.options.onError?.(error);
      return;
    }
    const { leads, valid, firstSample } = frame;
    this.strip.push(firstSample, sourceMs, this.columns.map((n) =>
      inMillivolts(this.setup.leads[n], leads[n], valid[n])));
  }
}

/**
 * @param {Lead} lead @param {ArrayLike<number>} units ADC integers @param {ArrayLike<number>} valid 1 or 0
 * @returns {Float32Array} millivolts, NaN where invalid
 */
export function inMillivolts(lead, units, valid) {
  const scale = (millivoltsPerUnit(lead) ?? NaN) / lead.gain;
  const zero = lead.baseline ?? 0;
  const mv = new Float32Array(units.length);
  for (let i = 0; i < mv.length; i++) mv[i] = valid[i] ? (units[i] - zero) * scale : NaN;
  return mv;
}
