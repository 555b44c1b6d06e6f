/**
 * What the page tells about its own lateness: from the source's clock to the screen.
 *
 * ECG: the age of all samples of each draw, spread evenly, not only of the newest. Facts: from when
 * they were made until the frame that shows them was handed to the screen. Video: by the time code in
 * the picture, where it carries one. A page in the background draws nothing and reports nothing.
 */
import { serverNow } from "/static/shared/clock.js";

/** @typedef {import("/static/shared/ecg_strip.js").Drawn} Drawn */

const EVERY_MS = 1000;
/** Samples of one draw that are told: each one, but for a burst after a hole. */
const PER_DRAW = 64;
const MOST = 1500;

export class Reports {
  /** @type {Record<string, number[]>} */ #waiting = { ecg: [], fact: [], video: [] };

  /** @param {(message: object) => boolean} send */
  constructor(send) {
    this.send = send;
    setInterval(() => this.#flush(), EVERY_MS);
  }

  /** @param {Drawn} drawn */
  ecg({ oldestLatencyMs, newestLatencyMs, samples }) {
    const count = Math.min(samples, PER_DRAW);
    for (let i = 0; i < count; i++) {
      const share = count === 1 ? 0 : i / (count - 1);
      this.#add("ecg", oldestLatencyMs + (newestLatencyMs - oldestLatencyMs) * share);
    }
  }

  /** Measures facts that are being drawn now. @param {[string, number][]} facts kind, time made (ms) */
  facts(facts) {
    if (document.hidden) return;
    requestAnimationFrame(() => {
      // A message posted from the frame's callback is handled after its painting.
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        const at = serverNow();
        for (const [, madeMs] of facts) this.#add("fact", at - madeMs);
        port1.close();
      };
      port2.postMessage(null);
    });
  }

  /** @param {number} latencyMs */
  video(latencyMs) {
    this.#add("video", latencyMs);
  }

  /** @param {string} kind @param {number} latencyMs */
  #add(kind, latencyMs) {
    const waiting = this.#waiting[kind];
    if (waiting.length < MOST) waiting.push(Math.round(latencyMs * 10) / 10);
  }

  #flush() {
    for (const [kind, waiting] of Object.entries(this.#waiting)) {
      if (waiting.length && this.send({ type: "drawn", kind, latencies_ms: waiting })) {
        this.#waiting[kind] = [];
      }
    }
  }
}
