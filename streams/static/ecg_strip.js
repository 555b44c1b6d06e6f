/**
 * The ECG strip: live 1 to 12 leads on calibrated paper, on two canvases (paper below, trace above).
 *
 *     const strip = new EcgStrip({ leads: ["I", "II", …], rateHz: 500, onDrawn: (drawn) => … });
 *     html`<${EcgView} strip=${strip} />`             // ecg_view.js: the strip with its controls
 *     strip.push(firstIndex, sourceMs, samplesMv)      // one array of millivolts for each lead
 *
 * Samples carry their absolute index since the source began, so frames may come late, twice or in any
 * order. NaN is an invalid sample (broken line at 0 mV); an index that never came is a gap (nothing is
 * drawn, the foot of the row is barred). Nothing is filtered, smoothed or bridged. Each sweep may move
 * a lead that wanders by more than 0.3 mV back to its row's baseline, by a whole offset.
 *
 * With no data for 2 s the trace greys out and says since when it is not live.
 * Needs ecg.css.
 */
import { effect, signal } from "./view.js";
import { durationInWords, serverNow, timeOfDay } from "./clock.js";
import { EcgBuffer, Playout } from "./ecg_playout.js";
import { drawPaper, isTwelveLead, keptPxPerMm, layOut } from "./ecg_paper.js";
import { t } from "./i18n.js";
import { theme, token } from "./theme.js";

/** Silence after which the trace is no longer called live, ms. */
const NOT_LIVE_AFTER_MS = 2000;
/** Every second picture of a 60 Hz screen: twice the trace's own smoothness is not seen, but paid. */
const DRAW_EVERY_MS = 30;
/** The empty bar ahead of the sweep, mm of paper. */
const ERASE_MM = 4;
/** A lead whose median is further off than this is moved back to the baseline, mV. */
const WANDER_MV = 0.3;

/**
 * @typedef {object} Drawn what one redraw put on the screen
 * @property {number} oldestIndex @property {number} newestIndex absolute, both drawn just now
 * @property {number} oldestLatencyMs @property {number} newestLatencyMs source clock to canvas
 * @property {number} samples newly drawn, per lead
 */

/**
 * @typedef {object} StripOptions
 * @property {string[]} leads names in the order of the samples
 * @property {number} rateHz
 * @property {(drawn: Drawn) => void} [onDrawn]
 * @property {"stacked" | "3x4"} [layout]
 * @property {string} [rhythm] lead of the long row under 3x4, default II
 * @property {"sweep" | "scroll"} [mode]
 * @property {number} [speed] mm/s @property {number} [gain] mm/mV
 * @property {number} [pxPerMm] CSS px per mm; default: as kept for this screen
 * @property {number} [marginMs] extra delay of the play head
 */

export class EcgStrip {
  /** @type {HTMLElement | null} */ #box = null;
  /** @type {(() => void)[]} */ #undo = [];
  /** @type {import("./ecg_paper.js").Cell[]} */ #cells = [];
  #frame = 0;
  #drawnTo = -1;
  #dirtyFrom = Infinity;
  /** Stretches that came after the head had passed them. @type {[number, number][]} */ #late = [];
  #lastArrivalMs = 0;
  /** @type {Map<number, {epoch: number, mv: number}>} */ #offsets = new Map();
  /** @type {Set<number>} */ #clipped = new Set();

  /** @param {StripOptions} options */
  constructor(options) {
    this.options = options;
    this.leads = options.leads;
    this.rateHz = options.rateHz;
    this.speed = signal(options.speed ?? 25);
    this.gain = signal(options.gain ?? 10);
    this.layout = signal(options.layout ?? (isTwelveLead(options.leads) ? "3x4" : "stacked"));
    this.mode = signal(options.mode ?? "sweep");
    this.pxPerMm = signal(options.pxPerMm ?? keptPxPerMm());
    this.frozenAtMs = signal(0);
    /** The source's silence as told on the strip: "waiting", "live" or "not live". */
    this.state = signal(/** @type {"waiting" | "live" | "not live"} */ ("waiting"));
    this.offScale = signal(/** @type {string[]} */ ([]));
    this.buffer = new EcgBuffer(this.leads.length, this.rateHz);
    this.playout = new Playout(this.rateHz, options.marginMs);
  }

  /**
   * Takes one frame of the live signal.
   * @param {number} first absolute index of the frame's first sample
   * @param {number} sourceMs source time of that sample in the hub's clock, ms since 1970
   * @param {ArrayLike<number>[]} samplesMv millivolts, one array for each lead; NaN = invalid
   */
  push(first, sourceMs, samplesMv) {
    if (samplesMv.length !== this.leads.length) {
      throw new RangeError(`${samplesMv.length} leads came, the strip has ${this.leads.length}`);
    }
    const known = this.buffer.end;
    if (known >= 0 && first + samplesMv[0].length < known - this.buffer.capacity) this.restart();
    this.buffer.write(first, sourceMs, samplesMv);
    const late = first < this.#drawnTo;
    if (late) {
      this.#dirtyFrom = Math.min(this.#dirtyFrom, first);
      this.#late.push([first, Math.min(this.#drawnTo, first + samplesMv[0].length)]);
    } else this.playout.arrived(first, performance.now());
    this.#lastArrivalMs = Date.now();
  }

  /** Forgets everything: another recording follows. */
  restart() {
    this.buffer = new EcgBuffer(this.leads.length, this.rateHz);
    this.playout = new Playout(this.rateHz, this.options.marginMs);
    this.#offsets.clear();
    this.#drawnTo = -1;
    this.#repaint();
  }

  /** Holds the picture still; the signal goes on being taken in. `unfreeze` shows it live again. */
  freeze() {
    this.frozenAtMs.value = serverNow();
  }

  unfreeze() {
    this.frozenAtMs.value = 0;
  }

  /**
   * Draws into an element from now on; it fills the element. Returns what ends it.
   * @param {HTMLElement} box
   * @returns {() => void}
   */
  attach(box) {
    this.#box = box;
    box.classList.add("ecg-strip");
    box.setAttribute("role", "img");
    box.replaceChildren(...["ecg-paper", "ecg-trace"].map((name) => {
      const canvas = document.createElement("canvas");
      canvas.className = name;
      return canvas;
    }), Object.assign(document.createElement("p"), { className: "ecg-message" }));
    const sized = new ResizeObserver(() => this.#repaint());
    sized.observe(box);
    const watch = setInterval(() => this.#tellState(), 250);
    // Reading the signals here makes every change of a setting, theme or language a new sheet.
    const settings = effect(() => {
      box.setAttribute("aria-label", t("ecg.label", { leads: this.leads.join(", ") }));
      void [this.speed.value, this.gain.value, this.layout.value, this.mode.value,
        this.pxPerMm.value, theme.value, this.frozenAtMs.value];
      this.#repaint();
    });
    let drawnMs = 0;
    const run = (/** @type {number} */ nowMs) => {
      this.#frame = requestAnimationFrame(run);
      if (nowMs - drawnMs < DRAW_EVERY_MS) return;
      drawnMs = nowMs;
      this.#draw();
    };
    this.#frame = requestAnimationFrame(run);
    this.#undo = [() => sized.disconnect(), () => clearInterval(watch), settings,
      () => cancelAnimationFrame(this.#frame)];
    return () => this.detach();
  }

  detach() {
    for (const undo of this.#undo.splice(0)) undo();
    this.#box?.replaceChildren();
    this.#box = null;
  }

  /** The part of the settings that is the paper's scale. */
  get scale() {
    return { speed: this.speed.value, gain: this.gain.value, pxPerMm: this.pxPerMm.value };
  }

  /** A new sheet: paper, and the trace from what is kept. */
  #repaint() {
    const sheet = this.#canvases();
    if (!sheet || this.frozenAtMs.value) return;
    const { paper, trace, width, height, ratio } = sheet;
    for (const context of [paper, trace]) {
      context.canvas.width = Math.round(width * ratio);
      context.canvas.height = Math.round(height * ratio);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    const rhythm = this.options.rhythm ?? "II";
    this.#cells = layOut(this.leads, this.layout.peek(), rhythm, width, height, this.scale);
    drawPaper(paper, width, height, this.#cells, this.scale, (lead) => t("ecg.no_lead", { lead }));
    this.#clipped.clear();
    this.#dirtyFrom = -Infinity;
  }

  #canvases() {
    const [paper, trace] = this.#box?.querySelectorAll("canvas") ?? [];
    const { clientWidth: width = 0, clientHeight: height = 0 } = this.#box ?? {};
    if (!paper || !trace || width < 20 || height < 20) return null;
    return {
      paper: /** @type {CanvasRenderingContext2D} */ (paper.getContext("2d")),
      trace: /** @type {CanvasRenderingContext2D} */ (trace.getContext("2d")),
      width, height, ratio: devicePixelRatio || 1,
    };
  }

  #draw() {
    const sheet = this.#canvases();
    if (!sheet || this.frozenAtMs.peek() || this.buffer.end < 0) return;
    const from = this.#drawnTo;
    const to = this.playout.position(performance.now(), this.buffer.end);
    if (to <= from && this.#dirtyFrom === Infinity) return;
    const { trace } = sheet;
    trace.lineWidth = 1.5;
    trace.lineJoin = "round";
    trace.strokeStyle = token("--ecg-trace");
    trace.fillStyle = token("--ecg-ink");
    for (const cell of this.#cells) if (cell.lead >= 0) this.#drawCell(trace, cell, from, to);
    this.#drawnTo = to;
    this.#dirtyFrom = Infinity;
    // What came too late for its moment is drawn now, and is as old as it is.
    for (const [first, end] of this.#late.splice(0)) this.#report(first, end);
    if (to > from) this.#report(Math.max(from, this.buffer.begin), to);
  }

  /**
   * @param {CanvasRenderingContext2D} context @param {import("./ecg_paper.js").Cell} cell
   * @param {number} from @param {number} to samples that are new; older ones when they are dirty
   */
  #drawCell(context, cell, from, to) {
    const step = (this.speed.peek() * this.pxPerMm.peek()) / this.rateHz;
    const window = Math.max(2, Math.floor(cell.width / step));
    const erase = ERASE_MM * this.pxPerMm.peek();
    const bar = Math.ceil(erase / step);
    const whole = this.mode.peek() === "scroll";
    const oldest = whole ? to - window : to - window + bar;
    const start = Math.max(oldest, whole ? -Infinity : Math.min(from, this.#dirtyFrom - 1));
    context.save();
    context.beginPath();
    context.rect(cell.x, cell.y, cell.width, cell.height);
    context.clip();
    if (whole || start < from) context.clearRect(cell.x, cell.y, cell.width, cell.height);
    // After a clearing everything that the window holds is drawn again.
    const first = whole || start < from ? oldest : start;
    const x = whole
      ? (/** @type {number} */ i) => cell.x + cell.width - (to - i) * step
      : (/** @type {number} */ i) => cell.x + (((i % window) + window) % window) * step;
    if (!whole) this.#eraseAhead(context, cell, first, to, x, erase);
    this.#trace(context, cell, Math.floor(first), to, x, window, step);
    context.restore();
  }

  /**
   * @param {CanvasRenderingContext2D} context @param {import("./ecg_paper.js").Cell} cell
   * @param {number} first @param {number} to @param {(index: number) => number} x @param {number} erase
   */
  #eraseAhead(context, cell, first, to, x, erase) {
    const left = Math.ceil(x(first - 1) + 1);
    const right = Math.ceil(x(to - 1) + erase);
    if (right >= left) {
      context.clearRect(left, cell.y, right - left, cell.height);
    } else { // the sweep has begun anew at the left edge
      context.clearRect(left, cell.y, cell.x + cell.width - left, cell.height);
      context.clearRect(cell.x, cell.y, right - cell.x, cell.height);
    }
    const beyond = right - (cell.x + cell.width);
    if (beyond > 0) context.clearRect(cell.x, cell.y, beyond, cell.height);
  }

  /**
   * @param {CanvasRenderingContext2D} context @param {import("./ecg_paper.js").Cell} cell
   * @param {number} from @param {number} to @param {(index: number) => number} x
   * @param {number} window samples of one sweep @param {number} step px per sample
   */
  #trace(context, cell, from, to, x, window, step) {
    const perMv = this.gain.peek() * this.pxPerMm.peek();
    const { buffer } = this;
    let down = false;
    context.beginPath();
    for (let i = Math.max(from - 1, buffer.begin, to - window); i < to; i++) {
      if (!buffer.has(i)) {
        down = false;
        context.fillRect(x(i), cell.y + cell.height - 5, Math.max(step, 0.5), 3);
        continue;
      }
      const mv = buffer.at(cell.lead, i);
      if (Number.isNaN(mv)) {
        down = false;
        if (x(i) % 8 < 4) context.fillRect(x(i), cell.baseline, Math.max(step, 0.5), 1.5);
        continue;
      }
      const y = cell.baseline - (mv - this.#offset(cell.lead, i, window)) * perMv;
      if (y < cell.y || y > cell.y + cell.height) this.#clipped.add(cell.lead);
      if (down && i % window !== 0) context.lineTo(x(i), y);
      else context.moveTo(x(i), y);
      down = true;
    }
    context.stroke();
  }

  /**
   * How far a lead is moved in the sweep that sample `index` belongs to: its median over the second
   * before, if that is far from 0.
   * @param {number} lead @param {number} index @param {number} window
   */
  #offset(lead, index, window) {
    const epoch = Math.floor(index / window);
    const key = lead * 2 + (epoch % 2);
    const known = this.#offsets.get(key);
    if (known?.epoch === epoch) return known.mv;
    const values = [];
    const start = Math.max(epoch * window, this.buffer.begin);
    for (let i = start - Math.round(this.rateHz); i < start + this.rateHz / 5; i++) {
      const mv = this.buffer.at(lead, i);
      if (!Number.isNaN(mv)) values.push(mv);
    }
    values.sort((a, b) => a - b);
    const median = values[Math.floor(values.length / 2)] ?? 0;
    const mv = Math.abs(median) > WANDER_MV ? median : 0;
    this.#offsets.set(key, { epoch, mv });
    return mv;
  }

  /** @param {number} from @param {number} to drawn just now */
  #report(from, to) {
    let oldest = from;
    while (oldest < to && !this.buffer.has(oldest)) oldest++;
    let newest = to - 1;
    while (newest > oldest && !this.buffer.has(newest)) newest--;
    if (oldest >= to || !this.options.onDrawn) return;
    const at = serverNow();
    this.options.onDrawn({
      oldestIndex: oldest,
      newestIndex: newest,
      oldestLatencyMs: at - this.buffer.sourceTimeMs(oldest),
      newestLatencyMs: at - this.buffer.sourceTimeMs(newest),
      samples: newest - oldest + 1,
    });
  }

  #tellState() {
    const silentMs = Date.now() - this.#lastArrivalMs;
    const waiting = this.#lastArrivalMs === 0;
    this.state.value = waiting ? "waiting" : silentMs > NOT_LIVE_AFTER_MS ? "not live" : "live";
    const message = this.#box?.querySelector(".ecg-message");
    if (!this.#box || !message) return;
    this.#box.dataset.state = this.state.value;
    const since = timeOfDay(this.#lastArrivalMs + serverNow() - Date.now());
    const text = waiting ? t("ecg.waiting")
      : t("ecg.not_live", { time: since, duration: durationInWords(silentMs) });
    message.textContent = this.state.value === "live" ? "" : text;
    const names = this.leads.filter((_, lead) => this.#clipped.has(lead));
    if (names.join() !== this.offScale.peek().join()) this.offScale.value = names;
  }
}
