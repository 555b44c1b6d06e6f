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
  /** The last sample of a block that held every n-th only. @type {{number: number, mv: number[]} | null} */
  #before = null;

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
   * @param {number} [every] it holds every n-th sample of the recording
   * @returns {Promise<void>}
   */
  async take(bytes, sourceMs, every = 1) {
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
    const mv = this.columns.map((n) => inMillivolts(this.setup.leads[n], leads[n], valid[n]));
    if (every === 1) this.strip.push(firstSample, sourceMs, mv);
    else this.#pushThinned(firstSample, sourceMs, mv, every);
  }

  /**
   * Every n-th sample, each at its own place, straight lines between: as a source of the lower rate
   * would be drawn. The line from the block before is drawn too, if none is missing in between.
   * @param {number} first @param {number} sourceMs @param {Float32Array[]} mv @param {number} every
   */
  #pushThinned(first, sourceMs, mv, every) {
    const before = this.#before;
    this.#before = { number: first + mv[0].length - 1, mv: mv.map((lead) => lead[lead.length - 1]) };
    const joins = before?.number === first - 1;
    const whole = mv.map((lead, n) => spread(joins ? [before.mv[n], ...lead] : lead, every));
    const back = joins ? 1 : 0;
    const stepMs = (every * 1000) / this.setup.sampling_frequency_hz;
    this.strip.push((first - back) * every, sourceMs - back * stepMs, whole);
  }
}

/**
 * @param {ArrayLike<number>} values @param {number} every
 * @returns {Float32Array} the values `every` places apart, straight lines between
 */
export function spread(values, every) {
  const whole = new Float32Array((values.length - 1) * every + 1);
  for (let i = 0; i < whole.length; i++) {
    const at = Math.floor(i / every);
    const part = (i % every) / every;
    whole[i] = part ? values[at] * (1 - part) + values[at + 1] * part : values[at];
  }
  return whole;
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
