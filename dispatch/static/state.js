/**
 * What the console knows: cases, units, hospitals, the case that is looked at, and what a person has
 * begun to write. Text that was typed is never lost: it lives here until it is sent.
 *
 *     state.act({ action: "assign_unit", case: id, unit: "unit-1" });
 */
import { batch, computed, signal } from "/static/shared/view.js";
import { serverNow } from "/static/shared/clock.js";
import { t } from "/static/shared/i18n.js";
import { newId } from "/static/shared/new_id.js";
import { PageSocket } from "/static/shared/socket.js";
import { formOf } from "./case_form.js";
import { forget } from "./partner_form.js";
import { hasCaller, isMine, queueOrder } from "./call_order.js";
import { Districts } from "./districts.js";
import { declaring } from "./incident.js";
import { talk } from "./talk.js";
import { startAgain } from "./triage.js";

/** @typedef {{state: "made" | "delivered" | "seen", role?: string}} Mark */
/** @typedef {{latitude_deg: number, longitude_deg: number, radius_m?: number | null, at_ms?: number,
 *   source?: string, heading_deg?: number | null}} Place */

/**
 * @typedef {object} Call
 * @property {"ringing" | "talking" | "held" | "offered" | "unattended" | "lost" | "calling" | "ended"} phase
 * @property {string} seat @property {string} offered_to @property {string} number @property {string} line
 * @property {boolean} silent @property {boolean} [wrote] @property {number} rang_ms @property {number} since_ms
 * @property {number | null} answered_ms @property {number} call_backs
 * @property {{text: string, at_ms: number} | null} [unanswered] the caller's last words, while nobody wrote after them
 */
/** @typedef {{code: string, text: string, names: string[], metres: number | null}} Note */
/** @typedef {Place & {radius_m: number | null, at_ms: number, received_ms: number, source: string, stale: boolean, civic: string | null,
 *   notes: Note[]}} Best where a caller is, from all that was said */
/** @typedef {Place & {fix: string, confidence: number | null, source: string, at_ms: number, datum: string,
 *   civic: string | null, warnings: string[]}} Fix */
/**
 * @typedef {object} Case
 * @property {Call | null} call @property {Best | null} place
 * @property {string | null} maybe the case that a waiting call is probably about
 * @property {import("./incident.js").Incident | null} incident
 * @property {{case: string, code: string, tag: import("./triage.js").Tag} | null} patient_of
 * @property {string} [home] the district of which it is, where it is not ours @property {string[]} [shared]
 * @property {import("./districts.js").Wanted[]} [wanted]
 * @property {boolean} position_confirmed @property {string | null} linked_to @property {string[]} linked
 * @property {string} id @property {string} alias @property {string} address @property {string} complaint
 * @property {"red" | "yellow" | "green" | "unknown"} severity @property {string} severity_by
 * @property {number | null} age_years @property {boolean} age_is_estimate @property {string} sex
 * @property {string | null} caller @property {Place | null} position
 * @property {number} opened_ms @property {number | null} closed_ms @property {string | null} outcome
 * @property {string | null} unit @property {Mark | null} unit_mark
 * @property {string | null} hospital @property {string} hospital_name @property {Mark | null} hospital_mark
 * @property {string | null} stage @property {number | null} run_ended_ms @property {string | null} pathway
 * @property {number} facts @property {boolean} synthetic @property {boolean} replayed @property {boolean} drill
 */
/**
 * @typedef {object} Unit
 * @property {string} name @property {string} label @property {boolean} drill @property {string | null} case
 * @property {string | null} stage @property {Place | null} position @property {string} position_origin
 * @property {string} status @property {number | null} status_since_ms @property {Record<string, number>} status_times
 * @property {boolean} on_shift @property {boolean | null} in_area @property {string[]} abilities
 * @property {number} position_stale_after_s
 * @property {number | null} heard_ms @property {boolean} in_reach @property {string[]} streams
 * @property {Record<string, {state: string, reason: string | null}>} sensors
 * @property {{at_ms: number, position_ms: number, stale_after_s: number, distance_m: number, method: string} | null} arrival
 */
/** @typedef {{name: string, label: string, drill: boolean, latitude_deg: number, longitude_deg: number, bound: number, old_after_s: number,
 *   room: {beds: number | null, resus_bays: number | null, diversion: boolean, reason: string, role: string, stated_ms: number} | null}} Hospital */
/** @typedef {{name: string, label: string, distance_m: number | null, drive_s: number | null, why: string[],
 *   by_road: boolean, figures: Record<string, number>}} Suggestion */
/** @typedef {{id: string, sequence: number, kind: string, at_ms: number, noted_ms: number, source: string,
 *   origin: string, data: any, mark: Mark | null, late_ms: number, time: string}} Entry */
/** @typedef {{value: number | null, at_ms: number, validity: any, reason: string | null, origin: any,
 *   history: [number, number | null][]}} Sign */
/**
 * @typedef {object} Detail
 * @property {string} case @property {Record<string, number>} stages
 * @property {{patient: string | null, signs: Record<string, Sign>,
 *   late: {from_ms: number, until_ms: number, most_ms: number} | null}[]} patients
 * @property {number} vitals_stale_after_s @property {Record<string, string>} media
 * @property {Record<string, string>} media_origins @property {Entry[]} entries
 * @property {Fix[]} fixes @property {number} fixes_in_all
 * @property {import("./incident.js").WholeIncident | null} incident
 * @property {Record<string, import("./partner_form.js").Partnership>} partners @property {string} call_back
 * @property {{source: string, field: string, text: string}[]} unread
 * @property {import("./talk.js").Conversation} talk @property {import("./caller_video.js").CallerVideo} caller_video
 * @property {import("./guide.js").Run[]} [guide] @property {import("./guide.js").NearAed[]} [aeds]
 */
/** @typedef {{address: string, complaint: string, severity: string, age: string, sex: string,
 *   caller: string, position: Place | null, drill?: boolean}} Form */
/** @typedef {{kind: "unit" | "hospital" | "close" | "unlink" | "partner" | "cancel_partner" | "transport" | "close_incident" | "ask_unit" | "send_link", name: string}} Question */

/** Positions of a unit's way that are kept. */
const TRACK = 600;

/** @returns {Form} */
export const emptyForm = () => ({
  address: "", complaint: "", severity: "unknown", age: "", sex: "unknown", caller: "", position: null,
});

export class ConsoleState {
  cases = signal(/** @type {Map<string, Case>} */ (new Map()));
  units = signal(/** @type {Map<string, Unit>} */ (new Map()));
  hospitals = signal(/** @type {Hospital[]} */ ([]));
  tracks = signal(/** @type {Map<string, [number, number, number][]>} */ (new Map()));
  /** Positions of callers of whom no call is known. */
  unplaced = signal(/** @type {(Fix & {number: string})[]} */ ([]));
  /** Whether many more calls come than usual, and who says so. */
  surge = signal({ is_on: false, fixed: false, seat: "", times: 0 });
  /** The message to many callers, as it is written; null while nobody writes one. */
  notice = signal(/** @type {{text: string, to: "waiting" | "without_unit"} | null} */ (null));
  seats = signal(/** @type {string[]} */ ([]));
  /** Why a caller is no more called back, as it is written, by case. */
  giveUp = signal(/** @type {Record<string, string>} */ ({}));
  about = signal({ region: "", seat: "", tiles: { url: "", attribution: "" }, roads: "", known: false,
    partners: /** @type {import("./partner_form.js").Partner[]} */ ([]), triage: /** @type {import("./triage.js").Tables} */ ({}),
    protocols: /** @type {import("./guide.js").Protocol[]} */ ([]) });
  selected = signal(/** @type {string | null} */ (null));
  detail = signal(/** @type {Detail | null} */ (null));
  suggestions = signal(/** @type {{case: string, units: Suggestion[], hospitals: Suggestion[],
   *   same_event: {case: string, why: string[], apart_m: number | null, apart_s: number}[],
   *   elsewhere: import("./districts.js").Elsewhere[], incident: import("./incident.js").Plan | null} | null} */ (null));
  /** The form of a new case, open or not; what is in it stays. */
  isOpening = signal(false);
  form = signal(emptyForm());
  /** Corrections to the case that is shown, by case. */
  editing = signal(/** @type {string | null} */ (null));
  edits = signal(/** @type {Form} */ (emptyForm()));
  notes = signal(/** @type {Record<string, string>} */ ({}));
  /** What is asked before something leaves the building. */
  question = signal(/** @type {Question | null} */ (null));
  reason = signal("");
  /** How the case ended, as it is chosen; empty while nobody chose. */
  outcome = signal("");
  /** What of a patient's transport is not as it was proposed. */
  transport = signal({ hospital: "", unit: "" });
  /** The call that this seat ended and that was the last thing it did. */
  ended = signal(/** @type {string | null} */ (null));
  /** Actions that were sent and not yet answered, by id. */
  sent = signal(/** @type {Map<string, any>} */ (new Map()));
  problem = signal(/** @type {{text: string, conflict?: any} | null} */ (null));
  videoOf = signal(/** @type {string | null} */ (null));
  /** What of the hub itself does not work. */
  missing = signal(/** @type {import("/static/shared/missing_line.js").Missing[]} */ ([]));
  trouble = signal(/** @type {import("./trouble.js").Trouble[]} */ ([]));
  districts = new Districts(this.about);
  #drawn = new Map();

  constructor() {
    this.socket = new PageSocket("/ws", {
      onState: (message) => batch(() => this.#take(message)),
      onLive: () => { this.sent.value = new Map(); },
    });
    this.case = computed(() => this.#known(this.selected.value ?? "") ?? null);
    /** What is to be done, in its order; what goes on in another case stands there. */
    this.queue = computed(() => [...this.cases.value.values()].filter((c) => !c.closed_ms && (!c.linked_to || hasCaller(c)) && !(c.patient_of && c.unit))
      .sort(queueOrder(this.about.value.seat, this.surge.value.is_on)));
    this.closed = computed(() => [...this.cases.value.values()].filter((c) => c.closed_ms)
      .sort((a, b) => Number(b.closed_ms) - Number(a.closed_ms)));
  }

  /** @param {string | null} id the case to look at */
  select(id) {
    if (id === this.selected.value) return;
    batch(() => {
      this.selected.value = id;
      this.detail.value = null;
      this.suggestions.value = null;
      this.question.value = this.problem.value = this.editing.value = this.videoOf.value = this.ended.value = null;
    });
    this.socket.send({ type: "watch", case: id });
  }

  /**
   * Asks the hub for something; at once shown as made, and its answer when it comes.
   * @param {Record<string, any>} action
   * @param {Record<string, any>} [note] what the page itself wants to know of it when its answer comes
   * @returns {boolean} false, and nothing sent, while the link is down
   */
  act(action, note = {}) {
    const id = newId();
    const home = this.districts.foreign.value.get(action.case)?.home;
    const whole = home && action.action !== "understood" ? { ...action, home } : action;
    if (!this.socket.send({ type: "action", id, ...whole })) {
      this.problem.value = { text: t("console.not_sent") };
      return false;
    }
    batch(() => {
      this.problem.value = this.ended.value = null;
      this.sent.value = new Map(this.sent.value).set(id, { ...action, ...note });
    });
    return true;
  }

  /** Takes the best position for the scene's. @param {Case} one */
  confirmPlace(one) {
    if (!one.place) return;
    const { latitude_deg, longitude_deg, radius_m, source } = one.place;
    const position = { latitude_deg, longitude_deg, source, ...(radius_m !== null && { radius_m }) };
    this.act({ action: "amend_case", case: one.id, position });
  }

  /** Takes an address that came with a position. @param {Case} one @param {string} address */
  takeAddress(one, address) {
    this.act({ action: "amend_case", case: one.id, address });
  }

  /** @param {string} action @param {string} [of] a case @returns {boolean} whether one is under way */
  isSending(action, of) {
    return [...this.sent.value.values()].some((one) => one.action === action && (!of || one.case === of));
  }

  /** @param {any} message */
  #take(message) {
    switch (message.type) {
      case "snapshot": return this.#snapshot(message);
      case "case": {
        this.#reportPlaced(message.case);
        this.cases.value = new Map(this.cases.value).set(message.case.id, message.case);
        return undefined;
      }
      case "units": return this.#takeUnits(message.units);
      case "detail": return this.#takeDetail(message);
      case "suggestions": {
        if (message.case === this.selected.value) this.suggestions.value = message;
        return undefined;
      }
      case "unplaced": this.unplaced.value = message.unplaced; return undefined;
      case "surge": this.surge.value = message.surge; return undefined;
      case "hospitals": this.hospitals.value = message.hospitals; return undefined;
      case "seats": this.seats.value = message.seats; return undefined;
      case "missing": this.missing.value = message.missing; return undefined;
      case "writing": return talk.take(message);
      case "trouble": {
        this.trouble.value = message.trouble;
        return undefined;
      }
      case "answer": return this.#answered(message);
      case "error": {
        this.problem.value = { text: message.error };
        return undefined;
      }
      default: return void this.districts.take(message);
    }
  }

  /** One of ours, or one that a neighbour shares. @param {string} id @returns {Case | undefined} */
  #known(id) {
    return this.cases.value.get(id) ?? this.districts.foreign.value.get(id);
  }

  /** @param {any} message */
  #snapshot(message) {
    const { region, seat, tiles, roads, partners, triage, protocols } = message;
    this.about.value = { region, seat, tiles, roads, known: true, partners, triage, protocols };
    this.cases.value = new Map(message.cases.map((/** @type {Case} */ one) => [one.id, one]));
    this.districts.take(message);
    this.units.value = new Map(message.units.map((/** @type {Unit} */ one) => [one.name, one]));
    this.hospitals.value = message.hospitals;
    this.seats.value = message.seats;
    this.surge.value = message.surge;
    this.trouble.value = message.trouble;
    this.tracks.value = new Map(Object.entries(message.tracks));
    talk.live.value = new Map(); // a hub that was started again has other names for what is not stored
    if (this.selected.value) this.socket.send({ type: "watch", case: this.selected.value });
    else if (this.queue.value.length) this.select((this.queue.value.find((one) => isMine(one, seat)) ?? this.queue.value[0]).id);
  }

  /** @param {Unit[]} units */
  #takeUnits(units) {
    const all = new Map(this.units.value);
    const tracks = new Map(this.tracks.value);
    for (const unit of units) {
      all.set(unit.name, unit);
      const way = tracks.get(unit.name) ?? [];
      const at = unit.position;
      if (at?.at_ms && at.at_ms > (way.at(-1)?.[2] ?? 0)) {
        tracks.set(unit.name, [...way.slice(-TRACK), [at.latitude_deg, at.longitude_deg, at.at_ms]]);
      }
    }
    this.units.value = all;
    this.tracks.value = tracks;
  }

  /** @param {any} message */
  #takeDetail(message) {
    if (message.case !== this.selected.value) return;
    const isFirst = this.detail.value === null;
    const last = this.#drawn.get(message.case) ?? 0;
    const fresh = message.entries.filter((/** @type {Entry} */ one) => one.sequence > last);
    this.#drawn.set(message.case, Math.max(last, ...fresh.map((/** @type {Entry} */ one) => one.sequence)));
    this.detail.value = message;
    talk.settle(message.talk.turns);
    if (!isFirst && fresh.length) requestAnimationFrame(() => this.#reportDrawn(fresh));
  }

  /** Tells how long a source's word of a caller's place took to the screen. @param {Case} one */
  #reportPlaced(one) {
    const came = one.place?.received_ms;
    if (!came || came === this.cases.value.get(one.id)?.place?.received_ms) return;
    requestAnimationFrame(() => this.socket.send({ type: "drawn", kind: "position", latencies_ms: [serverNow() - came] }));
  }

  /** @param {Entry[]} entries */
  #reportDrawn(entries) {
    const latencies = entries.map((one) => serverNow() - one.noted_ms);
    this.socket.send({ type: "drawn", kind: "fact", latencies_ms: latencies });
  }

  /** A call was taken: its case is shown, and the address is asked for first. @param {string} id */
  #begin(id) {
    this.isOpening.value = false;
    this.select(id);
    const one = this.#known(id);
    if (!one || one.address) return;
    this.edits.value = formOf(one);
    this.editing.value = id;
  }

  /** @param {any} message */
  #answered(message) {
    const sent = new Map(this.sent.value);
    const action = sent.get(message.id);
    sent.delete(message.id);
    this.sent.value = sent;
    if (!message.ok) {
      this.problem.value = { text: message.error, conflict: message.conflict };
      return;
    }
    if (message.action === "open_case") {
      this.form.value = emptyForm();
      this.isOpening.value = false;
      this.select(message.case);
    } else if (message.action === "note" && this.notes.value[message.case] === action?.text) {
      this.notes.value = { ...this.notes.value, [message.case]: "" };
    } else if (message.action === "amend_case") {
      if (!action?.isBeside && (!action?.position || action.address)) this.editing.value = null;
    } else if (message.action === "notify_callers") {
      this.notice.value = null;
    } else if (message.action === "say_text") {
      talk.said(action);
    } else if (message.action === "tag_patient") {
      startAgain();
    } else if (message.action === "declare_incident") {
      declaring.case.value = null;
    } else if (message.action === "answer_call") {
      if (action?.isAgain) this.select(message.case); // taken back: it goes on where it was
      else this.#begin(message.case);
    } else if (message.action === "end_call") {
      this.ended.value = message.case;
    } else if (["assign_unit", "ask_unit", "choose_hospital", "close_case", "unlink_case", "tell_partner", "cancel_partner", "send_link", "transport_patient", "close_incident"].includes(message.action)) {
      this.question.value = null;
      this.reason.value = "";
      if (message.action === "tell_partner") forget(message.case);
    }
  }
}
