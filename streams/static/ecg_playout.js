/**
 * What the ECG strip draws from: a ring of samples by absolute index, and a steady play head.
 *
 * Frames of 100 to 500 ms arrive in bursts; the trace must run evenly and as late as needed, no later.
 * A frame whose first sample has index f and which arrives at time a can only be played evenly when
 * the head passes f at a or after: the delay needed is a - f / rate. The delay is what nineteen of
 * twenty recent frames needed, plus a small margin. A rare later frame makes the trace hold for a
 * moment; one that comes much later, after a hole in the link, is drawn into the past where it
 * belongs. A surplus of delay is played down: where a sample stands on the paper follows from its
 * index alone, so that no interval is ever distorted by it.
 */

/** Needs older than this are forgotten, ms. */
const WINDOW_MS = 3000;
/** A frame this much later than the quickest one never raises the delay, ms. */
const LATEST_MS = 400;
/** The share of recent frames that need not be waited for. */
const RARE = 0.05;
/** A surplus of delay is played down at this speed: 20 % faster than real time. */
const CATCH_UP = 0.2;

export class EcgBuffer {
  /**
   * @param {number} leads number of leads
   * @param {number} rateHz samples per second and lead
   * @param {number} [seconds] how much of the past is kept
   */
  constructor(leads, rateHz, seconds = 40) {
    this.rateHz = rateHz;
    this.capacity = Math.ceil(rateHz * seconds);
    /** Millivolts; NaN where the sample is invalid or missing. */
    this.mv = Array.from({ length: leads }, () => new Float32Array(this.capacity).fill(NaN));
    /** 1 where a sample arrived, valid or not. */
    this.arrived = new Uint8Array(this.capacity);
    /** Absolute index of the first sample ever pushed, and the index after the newest one. */
    this.begin = -1;
    this.end = -1;
    this.anchor = { index: 0, sourceMs: 0 };
  }

  /**
   * Takes a frame. Samples that are too old for the ring are dropped; a jump forward leaves a gap.
   * @param {number} first absolute index of the frame's first sample
   * @param {number} sourceMs source time of that sample, hub's clock, ms since 1970
   * @param {ArrayLike<number>[]} samples millivolts, one array for each lead; NaN = invalid
   */
  write(first, sourceMs, samples) {
    const count = samples[0]?.length ?? 0;
    if (this.begin < 0) this.begin = this.end = first;
    this.begin = Math.min(this.begin, first);
    for (let i = Math.max(this.end, first - this.capacity); i < first; i++) this.#clear(i);
    const oldest = Math.max(this.end, first + count) - this.capacity;
    for (let k = Math.max(0, oldest - first); k < count; k++) {
      const at = (first + k) % this.capacity;
      this.arrived[at] = 1;
      for (let lead = 0; lead < this.mv.length; lead++) this.mv[lead][at] = samples[lead][k];
    }
    if (first + count > this.end) {
      this.end = first + count;
      this.anchor = { index: first, sourceMs };
    }
  }

  /** @param {number} index */
  #clear(index) {
    const at = index % this.capacity;
    this.arrived[at] = 0;
    for (const lead of this.mv) lead[at] = NaN;
  }

  /** @param {number} index @returns {boolean} whether the sample arrived and is still kept */
  has(index) {
    return index >= this.begin && index < this.end && index >= this.end - this.capacity
      && this.arrived[index % this.capacity] === 1;
  }

  /** @param {number} lead @param {number} index @returns {number} mV, NaN when invalid or missing */
  at(lead, index) {
    return this.has(index) ? this.mv[lead][index % this.capacity] : NaN;
  }

  /** @param {number} index @returns {number} source time, ms since 1970, hub's clock */
  sourceTimeMs(index) {
    return this.anchor.sourceMs + ((index - this.anchor.index) * 1000) / this.rateHz;
  }
}

export class Playout {
  /** @type {{atMs: number, needMs: number}[]} */ #needs = [];
  #delayMs = NaN;
  #lastMs = 0;
  #head = -1;

  /**
   * @param {number} rateHz
   * @param {number} [marginMs] on top of what the recent frames needed
   */
  constructor(rateHz, marginMs = 10) {
    this.rateHz = rateHz;
    this.marginMs = marginMs;
  }

  /**
   * Notes the arrival of a frame.
   * @param {number} first absolute index of its first sample
   * @param {number} nowMs any steady clock, the same as for `position`
   */
  arrived(first, nowMs) {
    this.#needs.push({ atMs: nowMs, needMs: nowMs - (first * 1000) / this.rateHz });
    while (this.#needs[0].atMs < nowMs - WINDOW_MS) this.#needs.shift();
  }

  /** @returns {number} the delay that the recent frames ask for, ms (up to a constant) */
  #target() {
    const needs = this.#needs.map((need) => need.needMs).sort((a, b) => a - b);
    const bound = needs[0] + LATEST_MS;
    const rare = needs.length >= 1 / RARE ? Math.ceil(needs.length * RARE) : 0;
    const most = Math.min(needs[needs.length - 1 - rare], bound);
    return most + this.marginMs;
  }

  /**
   * Where the head is now.
   * @param {number} nowMs
   * @param {number} end the index after the newest sample that arrived
   * @returns {number} index after the last sample to be drawn; never runs back, never past `end`
   */
  position(nowMs, end) {
    if (!this.#needs.length) return this.#head;
    const target = this.#target();
    const passed = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    const surplus = this.#delayMs - target;
    if (!(surplus > 0) || surplus > 1000) this.#delayMs = target;
    else this.#delayMs -= Math.min(surplus, passed * CATCH_UP);
    const due = Math.floor(((nowMs - this.#delayMs) * this.rateHz) / 1000);
    this.#head = Math.max(this.#head, Math.min(due, end));
    return this.#head;
  }
}
