/**
 * What the tablet knows: the parts of the vehicle's state as its agent tells them, held in signals;
 * and what the crew does, sent to the agent, which answers at once whether there is a link or not.
 */
import { batch, computed, signal } from "/static/shared/view.js";
import { serverNow } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { PageSocket } from "/static/shared/socket.js";
import { Asking } from "./asking.js";
import { LiveEcg } from "./live_ecg.js";

/** @typedef {"made" | "delivered" | "seen" | "refused"} Way how far a fact has come */
/** @typedef {{delivery: Way, seen_by?: string, refusal?: string}} Delivered */
/** @typedef {Delivered & {id: string, at_ms: number, made_ms: number, corrected: boolean}} Stamp */
/**
 * @typedef {Delivered & {id: string, at_ms: number, pathway: string, severity: string,
 *   age_years?: number, age_is_estimate?: boolean, sex?: string, text?: string}} Alert
 */
/**
 * @typedef {object} Line a fact on the timeline
 * @property {string} id @property {string} kind @property {string} source @property {boolean} own
 * @property {number} at_ms @property {number} noted_ms @property {string} origin
 * @property {Record<string, any>} body @property {Way} [delivery] @property {string} [seen_by]
 */
/**
 * @typedef {object} Case
 * @property {string[]} needs @property {string} caller_video @property {string} id @property {boolean} ours @property {string | null} closed
 * @property {boolean} synthetic @property {boolean} drill
 * @property {{hospital: string, name: string, reason?: string, previous?: string} | null} hospital
 * @property {Record<string, Stamp>} stamps @property {Alert[]} alerts @property {Line[]} timeline
 * @property {{at_ms: number, hospital: string, role: string}[]} acknowledged
 * @property {string} [address] @property {string} [complaint] @property {string} [alias]
 * @property {string} [severity] @property {string} [caller] @property {number} [age_years]
 * @property {string} [sex] @property {[number, number] | null} [scene]
 */
/**
 * @typedef {object} Unit
 * @property {string} name @property {string} label @property {string} region @property {boolean} drill
 * @property {string} map_tiles @property {string[]} stages @property {Record<string, number>} stale_s
 * @property {{hospital: string, label: string, url: string}[]} bays
 * @property {{hospital: string, label: string, latitude_deg: number, longitude_deg: number}[]} places
 */
/** @typedef {{state: "idle" | "assigned" | "running" | "ended", possible: string[],
 *   waiting: {id: string, address: string | null}[]}} Run */
/** @typedef {{connected: boolean, since_ms: number, answered_ms: number | null, refused: string | null,
 *   uplink: string, waiting: number, waiting_urgent: number, oldest_ms: number | null,
 *   live_ecg: boolean}} Link */
/** @typedef {{allowed: boolean, wanted: boolean, on: boolean, why: string}} Keeping */
/** @typedef {{stream: string, wanted: boolean, on: boolean, reason: string | null, since_ms: number,
 *   origin: string, record: Keeping}} Camera */
/** @typedef {{name: string, kind: string, state: "waiting" | "running" | "ended" | "failed",
 *   origin: string | null, reason: string | null, since_ms: number}} Sensor */
/** @typedef {{value: number | null, at_ms: number, validity: import("/static/shared/value_tile.js").Validity,
 *   reason: string | null, origin: import("/static/shared/value_tile.js").Origin, device: string,
 *   history: {atMs: number, value: number}[]}} Sign */
/** @typedef {{setup: import("/static/shared/ecg_block.js").EcgSetup, device: string, origin: string,
 *   purpose: string, bound: boolean}} Recording */
/** @typedef {{at_ms: number, position_ms: number, distance_m: number, method: string}} Arrival */
/** @typedef {{latitude_deg: number, longitude_deg: number, heading_deg: number | null,
 *   radius_m: number | null, speed_mps: number | null, at_ms: number, origin: string,
 *   track: [number, number][]}} Position */

/** @typedef {{state: "idle" | "connecting" | "sending" | "waiting" | "done" | "failed", case: string, address: string,
 *   hospital: string, session: string, stored: number, expected: number, problem: string}} Bay */

/** What takes longer than this is said to be without an answer, ms; the page goes on waiting. */
const ANSWER_MS = 5000;

export class TabletState {
  #asking = new Asking();

  constructor() {
    this.unit = signal(/** @type {Unit | null} */ (null));
    this.run = signal(/** @type {Run} */ ({ state: "idle", possible: [], waiting: [] }));
    this.case = signal(/** @type {Case | null} */ (null));
    this.vitals = signal(/** @type {Record<string, Sign>} */ ({}));
    this.sensors = signal(/** @type {Sensor[]} */ ([]));
    this.recordings = signal(/** @type {Recording[]} */ ([]));
    this.link = signal(/** @type {Link | null} */ (null));
    this.camera = signal(/** @type {Camera | null} */ (null));
    this.quality = signal(/** @type {import("/static/shared/quality_words.js").Quality | null} */ (null));
    this.disk = signal(/** @type {import("./disk.js").Disk | null} */ (null));
    this.arrival = signal(/** @type {Arrival | null} */ (null));
    this.position = signal(/** @type {Position | null} */ (null));
    this.bay = signal(/** @type {Bay} */ ({ state: "idle", case: "", address: "", hospital: "", session: "",
      stored: 0, expected: 0, problem: "" }));
    /** What became of the last action, in words; "" when it was done. */
    this.problem = signal("");
    this.alert = computed(() => this.case.value?.alerts.at(-1) ?? null);
    this.ecg = new LiveEcg((kind, latencies) => this.socket.send(
      { type: "drawn", kind, latencies_ms: latencies }));
    this.socket = new PageSocket("/ws", {
      onState: (message) => this.#take(message),
      onFrame: (frame) => this.ecg.take(frame),
    });
  }

  /** @param {string} event of the run's table @returns {boolean} whether the run takes it now */
  can(event) {
    return this.run.value.possible.includes(event);
  }

  /**
   * Asks the agent for something; what cannot be done is said on the page. Without an answer the same
   * may be asked for again, and is done once.
   * @param {Record<string, unknown>} action
   * @returns {Promise<boolean>} whether it was done, once that is known
   */
  act(action) {
    const { asked, again } = this.#asking.ask(action, serverNow());
    if (!this.socket.send({ type: "action", request: asked.id, id: asked.id, ...asked.action })) {
      if (!again) this.#asking.settle(asked.id, false);
      this.problem.value = t("tablet.not_sent");
      return asked.done;
    }
    setTimeout(() => {
      if (this.#asking.waits(asked.id)) this.problem.value = t("tablet.no_answer");
    }, ANSWER_MS);
    return asked.done;
  }

  /**
   * Asks the agent for what is no fact of the run; what cannot be done is said on the page.
   * @param {string} method @param {string} path @param {Record<string, unknown>} [body]
   * @returns {Promise<Record<string, unknown> | null>} the answer; null if it was not done
   */
  async ask(method, path, body) {
    let answer;
    try {
      const response = await fetch(path, { method, body: body && JSON.stringify(body) });
      answer = await response.json();
      if (!response.ok) throw new Error(answer.error);
    } catch (error) {
      this.problem.value = t("tablet.not_done", { why: error instanceof Error ? error.message : "" });
      return null;
    }
    this.problem.value = "";
    return answer;
  }

  /** @param {{request: string, ok: boolean, error?: string, reason?: string}} answer */
  #answered({ request, ok, error, reason }) {
    if (!this.#asking.settle(request, ok) && ok) return; // its fact came before its answer
    const why = reason === "storage" ? t("disk.not_done") : error ?? "";
    this.problem.value = ok ? "" : t("tablet.not_done", { why });
  }

  /** @param {any} message */
  #take(message) {
    switch (message.type) {
      case "snapshot":
      case "patch":
        batch(() => this.#takeParts(message));
        break;
      case "answer":
        this.#answered(message);
        break;
      case "error":
        this.problem.value = message.reason === "storage" ? t("disk.not_shown") : t("tablet.not_done", { why: message.error });
        break;
      default: // a newer agent may say more
    }
  }

  /** @param {any} parts */
  #takeParts(parts) {
    const known = new Set(this.case.value?.timeline.map((line) => line.id));
    for (const name of /** @type {const} */ (["unit", "run", "case", "vitals", "sensors", "link",
      "camera", "quality", "disk", "arrival", "position", "bay"])) {
      if (name in parts) /** @type {any} */ (this[name]).value = parts[name];
    }
    for (const line of this.case.value?.timeline ?? []) {
      // Its answer may have been lost with the link.
      if (this.#asking.settle(line.id, true)) this.problem.value = "";
    }
    if ("ecg" in parts) {
      this.recordings.value = parts.ecg;
      this.ecg.know(parts.ecg);
    }
    if (parts.type === "patch" && parts.case) {
      const fresh = parts.case.timeline.filter((/** @type {Line} */ line) => !known.has(line.id));
      const latencies = fresh.map((/** @type {Line} */ line) => serverNow() - line.noted_ms);
      if (latencies.length) this.socket.send({ type: "drawn", kind: "fact", latencies_ms: latencies });
    }
  }
}
