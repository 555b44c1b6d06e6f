/**
 * What the page knows: cases as the server tells them, held in signals; and what it tells the server.
 */
import { batch, computed, effect, signal } from "/static/shared/view.js";
import { serverNow } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { PageSocket } from "/static/shared/socket.js";
import { LiveEcg } from "./live_ecg.js";
import { Reports } from "./reports.js";

/**
 * @typedef {object} Reading
 * @property {number | null} value @property {number} at_ms
 * @property {"valid" | "questionable" | "invalid" | "unavailable"} [validity]
 * @property {"live" | "replay" | "synthetic"} origin
 * @property {string} device @property {string} [reason] @property {boolean} [unassigned]
 */
/**
 * @typedef {object} Ecg
 * @property {import("/static/shared/ecg_block.js").EcgSetup} setup
 * @property {string} device @property {string} purpose @property {number} started_ms
 * @property {string} origin @property {boolean} ended @property {boolean} [unassigned]
 */
/**
 * @typedef {object} Patient
 * @property {string | null} label
 * @property {"red" | "yellow" | "green" | "unknown"} severity
 * @property {string | null} pathway @property {string | null} text
 * @property {number | null} age_years @property {boolean} age_is_estimate
 * @property {"female" | "male" | "other" | "unknown"} sex
 * @property {number | null} alerted_ms
 * @property {number} alert_late_ms
 * @property {{from_ms: number, until_ms: number, most_ms: number} | null} late values that came late
 * @property {Record<string, Reading>} vitals @property {Ecg | null} ecg @property {string[]} origins
 */
/** @typedef {{role: string, person: string | null, at_ms: number, state: string, problem: string | null}} Mark */
/**
 * @typedef {object} Card
 * @property {string} case
 * @property {"inbound" | "arrived" | "closed" | "stood_down"} status
 * @property {string} alias @property {string | null} address @property {string | null} complaint
 * @property {"red" | "yellow" | "green" | "unknown"} severity
 * @property {string} origin @property {boolean} drill
 * @property {number | null} opened_ms @property {number | null} chosen_ms
 * @property {string[]} units @property {Record<string, string>} unit_names
 * @property {Record<string, number>} milestones
 * @property {Patient[]} patients @property {Mark[]} seen
 * @property {import("/static/shared/quality_words.js").Quality | null} [quality]
 * @property {string[]} needs @property {string} caller_video
 * @property {Record<string, string>} media @property {Record<string, string>} media_origins @property {Record<string, string>} failed_sensors
 * @property {string | null} outcome @property {number | null} closed_ms
 * @property {string | null} stood_down_reason @property {string | null} diverted_to
 * @property {{proven: number, last: number, missing: number, broken: number[]}} chain
 * @property {{session: string, way: string, unit: string, at_ms: number, stored: number, expected: number, closed: boolean,
 *   refused: number, waiting: number, differing: number, confirmed: boolean} | null} [bay] handed over at the bay, past the hub
 */
/** @typedef {{name: string, way: string, unit: string, label: string, case: string, at_ms: number, stored: number,
 *   expected: number, refused: number, reason: string, closed: boolean}} BaySession */
/** @typedef {{at_ms: number, position_ms: number, distance_m: number, method: string, origin: string}} Eta */
/** @typedef {{id: string, kind: string, at_ms: number, noted_ms: number, source: string, origin: string,
 *   said: Record<string, any>, patient?: string, late_ms?: number, time?: string}} Line */
/** @typedef {Record<string, Record<string, [number, number | null][]>>} Curves */
/** @typedef {{atMs: number, value: number | null}} Point */

/** Points older than this leave a curve, ms. */
const KEPT_MS = 30 * 60_000;
const ROLE_KEPT_AS = "forerun.role";

/** One case, as the page holds it. */
export class Case {
  /** @param {Card} card */
  constructor(card) {
    this.card = signal(card);
    this.eta = signal(/** @type {Eta | null} */ (null));
    this.lines = signal(/** @type {Line[]} */ ([]));
    /** By patient label ("" is unassigned) and vital sign. @type {Record<string, Record<string, Point[]>>} */
    this.curves = {};
    this.speedMps = signal(/** @type {number | null} */ (null));
  }

  /** @param {Curves} curves new points */
  addPoints(curves) {
    for (const [label, codes] of Object.entries(curves)) {
      const kept = (this.curves[label] ??= {});
      for (const [code, points] of Object.entries(codes)) kept[code] = merged(kept[code] ?? [], points);
    }
  }

  /** @param {Line[]} lines */
  addLines(lines) {
    const known = new Map(this.lines.value.map((line) => [line.id, line]));
    for (const line of lines) known.set(line.id, line);
    this.lines.value = [...known.values()];
  }

  /**
   * The course of a vital sign of a patient; what is unassigned stands beside the only patient.
   * @param {Patient} patient @param {string} code
   * @returns {Point[]} oldest first
   */
  curve(patient, code) {
    const own = this.curves[patient.label ?? ""]?.[code];
    const alone = this.card.value.patients.length === 1;
    return own ?? (alone ? this.curves[""]?.[code] : undefined) ?? [];
  }
}

/** @param {Point[]} known @param {[number, number | null][]} points @returns {Point[]} */
function merged(known, points) {
  const times = new Set(known.map((point) => point.atMs));
  const fresh = points.filter(([atMs]) => !times.has(atMs)).map(([atMs, value]) => ({ atMs, value }));
  const all = [...known, ...fresh].sort((a, b) => a.atMs - b.atMs);
  const oldest = (all.at(-1)?.atMs ?? 0) - KEPT_MS;
  return all.filter((point) => point.atMs >= oldest);
}

function keptRole() {
  try {
    return localStorage.getItem(ROLE_KEPT_AS) ?? "";
  } catch {
    return ""; // storage may be forbidden on a locked-down wall display
  }
}

export class ArrivalState {
  /** @type {Map<string, (answer: any) => void>} */ #waiting = new Map();
  #requests = 0;

  constructor() {
    this.cases = signal(/** @type {Map<string, Case>} */ (new Map()));
    this.hospital = signal(/** @type {{name: string, label: string} | null} */ (null));
    this.roles = signal(/** @type {string[]} */ ([]));
    this.needs = signal(/** @type {Record<string, string[]>} */ ({}));
    this.staleS = signal(/** @type {Record<string, number>} */ ({}));
    this.missing = signal(/** @type {import("/static/shared/missing_line.js").Missing[]} */ ([]));
    this.bay = signal(/** @type {BaySession[]} */ ([]));
    this.upstream = signal({ state: "connecting", since_ms: serverNow() });
    this.room = signal(/** @type {import("./hospital_room.js").Room | null} */ (null));
    /** Words of a click that could not be done. */
    this.problem = signal("");
    /** What this seat is; asked once, kept in the browser. */
    this.role = signal(keptRole());
    /** Cases whose ECG the page shows now. */
    this.looks = signal(/** @type {string[]} */ ([]));
    this.socket = new PageSocket("/ws", {
      onState: (message) => this.#take(message),
      onFrame: (frame) => this.ecg.take(frame),
      onLive: () => {
        this.#giveUpAnswers();
        this.#look();
      },
    });
    this.reports = new Reports((message) => this.socket.send(message));
    this.ecg = new LiveEcg((drawn) => this.reports.ecg(drawn));
    // A case that leaves and comes back (another hospital in between) must be looked at again.
    const wanted = computed(() => JSON.stringify(this.looks.value.filter((id) => {
      const status = this.cases.value.get(id)?.card.value.status;
      return status === "inbound" || status === "arrived";
    }).sort()));
    effect(() => {
      void wanted.value;
      this.#look();
    });
    this.wanted = wanted;
  }

  /** @param {string} role */
  setRole(role) {
    this.role.value = role;
    try {
      localStorage.setItem(ROLE_KEPT_AS, role);
    } catch {
      // kept for this visit only
    }
  }

  /**
   * Asks the server for something; what cannot be done is said on the page.
   * @param {Record<string, unknown>} action
   * @returns {Promise<boolean>} whether it was done
   */
  async act(action) {
    const request = `r${++this.#requests}`;
    const answered = new Promise((resolve) => this.#waiting.set(request, resolve));
    if (!this.socket.send({ type: "action", request, ...action })) {
      this.#waiting.delete(request);
      this.problem.value = t("answer.not_sent");
      return false;
    }
    const answer = await answered;
    this.problem.value = answer.ok ? "" : answer.error;
    return answer.ok;
  }

  /**
   * Asks the server for what is no action on a case; what cannot be done is said on the page.
   * @param {string} method @param {string} path @param {Record<string, unknown>} [body]
   * @returns {Promise<any>} the answer; null if it was not done
   */
  async ask(method, path, body) {
    try {
      const response = await fetch(path, { method, body: body && JSON.stringify(body) });
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.error);
      this.problem.value = "";
      return answer;
    } catch (error) {
      this.problem.value = error instanceof Error ? error.message : t("answer.not_sent");
      return null;
    }
  }

  /** @param {string} id reads the timeline of a case; the server notes who did */
  async readLines(id) {
    const answer = await fetch(`/api/cases/${id}`);
    const body = await answer.json();
    if (answer.ok) this.cases.value.get(id)?.addLines(body.lines);
  }

  #look() {
    if (this.wanted) this.socket?.send({ type: "look", cases: JSON.parse(this.wanted.peek()) });
  }

  /** @param {any} message */
  #take(message) {
    batch(() => {
      switch (message.type) {
        case "snapshot": return this.#takeSnapshot(message);
        case "case": return this.#takeCase(message);
        case "gone": return this.#without(message.case);
        case "eta": return this.#with(message.case, (one) => { one.eta.value = message.eta; });
        case "position": return this.#with(message.case, (one) => { one.speedMps.value = message.speed_mps; });
        case "missing": this.missing.value = message.missing; return undefined;
        case "bay": this.bay.value = message.sessions; return undefined;
        case "room": this.room.value = message.room; return undefined;
        case "upstream": this.upstream.value = message.upstream; return undefined;
        case "answer": return this.#answered(message);
        case "error": this.problem.value = message.error; return undefined; // of no click
        default: return undefined; // a newer server may say more
      }
    });
    if (message.facts?.length) this.reports.facts(message.facts);
  }

  /** @param {any} message */
  #takeSnapshot(message) {
    this.hospital.value = message.hospital;
    this.roles.value = message.roles;
    this.needs.value = message.needs;
    this.staleS.value = message.stale_s;
    this.upstream.value = message.upstream;
    this.room.value = message.room;
    const cases = new Map();
    for (const whole of message.cases) {
      const known = this.cases.value.get(whole.card.case);
      const one = known ?? new Case(whole.card);
      one.card.value = whole.card;
      one.eta.value = whole.eta;
      one.addPoints(whole.curves);
      cases.set(whole.card.case, one);
      this.ecg.know(whole.card);
    }
    this.cases.value = cases;
  }

  /** @param {any} message */
  #takeCase(message) {
    const id = message.card.case;
    let one = this.cases.value.get(id);
    if (!one) {
      one = new Case(message.card);
      this.cases.value = new Map(this.cases.value).set(id, one);
    }
    if (message.again) one.curves = {}; // all of them come, at other times than before
    one.addPoints(message.curves);
    one.addLines(message.lines);
    one.card.value = message.card;
    if (message.whole) one.eta.value = message.eta;
    this.ecg.know(message.card);
  }

  /** @param {string} id */
  #without(id) {
    const cases = new Map(this.cases.value);
    cases.delete(id);
    this.cases.value = cases;
    this.ecg.forget(id);
  }

  /** @param {string} id @param {(one: Case) => void} change */
  #with(id, change) {
    const one = this.cases.value.get(id);
    if (one) change(one);
  }

  /** What was asked over a connection that broke is answered by nobody: it may be done or not. */
  #giveUpAnswers() {
    for (const request of [...this.#waiting.keys()]) {
      this.#answered({ request, ok: false, error: t("answer.lost") });
    }
  }

  /** @param {any} answer of the server, which names the click that asked */
  #answered(answer) {
    const resolve = this.#waiting.get(answer.request);
    this.#waiting.delete(answer.request);
    resolve?.(answer);
  }
}
