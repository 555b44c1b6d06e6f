/**
 * Live ECG frames from the gateway's socket to the strips that show them.
 *
 * A frame names its recording; what the recording is (leads, scales) came with the case. A frame is
 * decoded only when a strip shows it.
 */
import { EcgBlockError, decodeFrame } from "/static/shared/ecg_block.js";
import { EcgFeed, inMillivolts, spread } from "/static/shared/ecg_feed.js";
import { readFrame } from "/static/shared/ecg_frame.js";
import { leadName } from "/static/shared/ecg_paper.js";
import { EcgStrip } from "/static/shared/ecg_strip.js";

/** @typedef {import("./state.js").Card} Card */
/** @typedef {import("/static/shared/ecg_strip.js").Drawn} Drawn */
/** @typedef {import("/static/shared/ecg_block.js").EcgSetup} EcgSetup */

/** One place on the page that shows a recording: all of its leads, or one. */
export class EcgView {
  /** The first sample that came live: what was sent of the past says nothing about latency. */
  liveFrom = Infinity;
  /** Each frame waits for the one before: decoding is asynchronous, drawing is in order. */
  queue = Promise.resolve();

  /**
   * @param {EcgSetup} setup
   * @param {string | null} lead only this lead, or all
   * @param {(drawn: Drawn) => void} onDrawn
   */
  constructor(setup, lead, onDrawn) {
    const report = (/** @type {Drawn} */ drawn) => {
      if (drawn.oldestIndex >= this.liveFrom) onDrawn(drawn);
    };
    this.feed = new EcgFeed(setup, { onDrawn: report });
    const column = lead === null ? -1 : this.feed.columns.find(
      (n) => setup.leads[n].name.toLowerCase() === lead.toLowerCase()) ?? this.feed.columns[0];
    if (column !== undefined && column >= 0) {
      this.feed.columns = [column];
      this.feed.strip = new EcgStrip({
        leads: [leadName(setup.leads[column].name)], rateHz: setup.sampling_frequency_hz,
        layout: "stacked", onDrawn: report,
      });
    }
  }

  get strip() {
    return this.feed.strip;
  }

  /** @param {NonNullable<ReturnType<typeof readFrame>>} frame */
  take(frame) {
    const { setup } = this.feed;
    const { every } = frame;
    const firstMs = frame.newestMs - ((frame.length - 1) * every * 1000) / setup.sampling_frequency_hz;
    if (!frame.past && !frame.recorded) this.liveFrom = Math.min(this.liveFrom, frame.first * every);
    this.queue = this.queue.then(() => (frame.past ? this.#remember(frame, firstMs)
      : this.feed.take(frame.block, firstMs, every)));
  }

  /**
   * Puts a frame of the past where it belongs, without its lateness delaying what is live.
   * @param {NonNullable<ReturnType<typeof readFrame>>} frame @param {number} firstMs
   */
  async #remember(frame, firstMs) {
    const { setup, columns, strip } = this.feed;
    try {
      const { leads, valid, firstSample } = await decodeFrame(setup, frame.block);
      strip.buffer.write(firstSample * frame.every, firstMs, columns.map((n) =>
        spread(inMillivolts(setup.leads[n], leads[n], valid[n]), frame.every)));
    } catch (error) {
      if (!(error instanceof EcgBlockError)) throw error;
      this.feed.refused += 1;
    }
  }
}

export class LiveEcg {
  /** @type {Map<string, EcgSetup>} by case and setup id */ #setups = new Map();
  /** @type {Map<string, Set<EcgView>>} by case and setup id */ #views = new Map();
  /** Frames of a recording that the page does not know yet. */
  unknown = 0;

  /** @param {(drawn: Drawn) => void} onDrawn */
  constructor(onDrawn) {
    this.onDrawn = onDrawn;
  }

  /** Learns the recordings of a case. @param {Card} card */
  know(card) {
    for (const { ecg } of card.patients) {
      if (!ecg) continue;
      const key = `${card.case}/${ecg.setup.setup_id}`;
      // The decoder keeps a plan per setup object: the first one stays.
      if (!this.#setups.has(key)) this.#setups.set(key, ecg.setup);
    }
  }

  /** @param {string} caseId */
  forget(caseId) {
    for (const key of [...this.#setups.keys()]) if (key.startsWith(caseId)) this.#setups.delete(key);
  }

  /**
   * Opens a place that shows a recording; `close` it when it goes.
   * @param {string} caseId @param {string} setupId @param {string | null} lead
   * @returns {{view: EcgView, close: () => void} | null} null while the recording is not known
   */
  open(caseId, setupId, lead) {
    const key = `${caseId}/${setupId}`;
    const setup = this.#setups.get(key);
    if (!setup) return null;
    const view = new EcgView(setup, lead, this.onDrawn);
    const views = this.#views.get(key) ?? new Set();
    this.#views.set(key, views.add(view));
    return { view, close: () => void views.delete(view) };
  }

  /** @param {ArrayBuffer} buffer */
  take(buffer) {
    const frame = readFrame(buffer);
    if (!frame) return;
    const key = `${frame.caseId}/${frame.setupId}`;
    if (!this.#setups.has(key)) this.unknown += 1;
    for (const view of this.#views.get(key) ?? []) view.take(frame);
  }
}
