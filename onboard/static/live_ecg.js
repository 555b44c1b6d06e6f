/**
 * Live ECG frames from the agent's socket to one strip: that of the newest rhythm recording.
 *
 * What a recording is (leads, scales) comes with the state; a frame of a recording that is not shown
 * is left alone.
 */
import { signal } from "/static/shared/view.js";
import { EcgFeed } from "/static/shared/ecg_feed.js";
import { readFrame } from "/static/shared/ecg_frame.js";

/** @typedef {import("./state.js").Recording} Recording */
/** @typedef {import("/static/shared/ecg_strip.js").Drawn} Drawn */

const REPORT_MS = 5000;
const MOST_REPORTED = 200;

export class LiveEcg {
  /** @type {EcgFeed | null} */ #feed = null;
  /** Each frame waits for the one before: decoding is asynchronous, drawing is in order. */
  #queue = Promise.resolve();
  /** @type {number[]} */ #latencies = [];

  /** @param {(kind: string, latencies: number[]) => boolean} report */
  constructor(report) {
    /** The recording that is shown, with its strip. */
    this.shown = signal(/** @type {{recording: Recording, feed: EcgFeed} | null} */ (null));
    setInterval(() => {
      if (this.#latencies.length && report("ecg", this.#latencies)) this.#latencies = [];
    }, REPORT_MS);
  }

  /** @param {Recording[]} recordings those that run, oldest first */
  know(recordings) {
    const rhythms = recordings.filter((one) => one.purpose === "rhythm");
    const newest = rhythms.findLast((one) => one.bound) ?? rhythms.at(-1);
    const shown = this.shown.value;
    if (!newest) return; // it ended: its last seconds stay, and say that they are not live
    if (shown?.recording.setup.setup_id === newest.setup.setup_id) return;
    const feed = new EcgFeed(newest.setup, { onDrawn: (drawn) => this.#drawn(drawn) });
    this.#feed = feed;
    this.shown.value = { recording: newest, feed };
  }

  /** @param {ArrayBuffer} buffer */
  take(buffer) {
    const feed = this.#feed;
    const frame = readFrame(buffer);
    if (!feed || frame?.setupId !== feed.setup.setup_id) return;
    const firstMs = frame.newestMs - ((frame.length - 1) * 1000) / feed.setup.sampling_frequency_hz;
    this.#queue = this.#queue.then(() => feed.take(frame.block, firstMs));
  }

  /** @param {Drawn} drawn */
  #drawn({ newestLatencyMs }) {
    if (this.#latencies.length < MOST_REPORTED) this.#latencies.push(Math.round(newestLatencyMs));
  }
}
