/** What the console knows of neighbouring districts: their calls, units, hospitals and requests. Never mixed with our own. */
import { computed, signal } from "/static/shared/view.js";
import { queueOrder } from "./call_order.js";

/** @typedef {{request: string, seat: string, action: string, text: string, at_ms: number, error: string | null}} Asked */
/** @typedef {import("./state.js").Case & {home: string, asked: Asked[]}} ForeignCase */
/** @typedef {{name: string, label: string, status: string, abilities: string[], serves: boolean, origin: string, heard_ms: number | null,
 *   position: {latitude_deg: number, longitude_deg: number, at_ms: number, heading_deg: number | null} | null}} ForeignUnit */
/** @typedef {{name: string, label: string, latitude_deg: number, longitude_deg: number, beds: number | null, resus_bays: number | null,
 *   diversion: boolean, stated_ms: number | null, bound: number}} ForeignHospital */
/** @typedef {{region: string, label: string, connected: boolean, since_ms: number, state_ms: number | null, is_stale: boolean,
 *   left_out: number, waiting: number, units: ForeignUnit[], hospitals: ForeignHospital[]}} Neighbour */
/** @typedef {{request: string, region: string, unit: string, alias: string, address: string, complaint: string, severity: string,
 *   seat: string, reason: string | null, at_ms: number}} Card */
/** @typedef {{request: string, region: string, unit: string, label: string, state: "asked" | "accepted" | "refused" | "taken_back",
 *   at_ms: number, seat: string, by: string, reason: string | null}} Wanted */
/** @typedef {{region: string, district: string, name: string, label: string, drive_s: number, distance_m: number, by_road: boolean,
 *   saves_s: number | null}} Elsewhere */

export class Districts {
  foreign = signal(/** @type {Map<string, ForeignCase>} */ (new Map()));
  neighbours = signal(/** @type {Neighbour[]} */ ([]));
  cards = signal(/** @type {Card[]} */ ([]));
  /** Why a request is refused, as it is written, by request. */
  reasons = signal(/** @type {Record<string, string>} */ ({}));
  /** Who has a call that has just left the queue; said until the next one is looked at. */
  left = signal(/** @type {{case: string, why: string, seat: string, home: string} | null} */ (null));

  /** @param {{value: {seat: string}}} about who looks */
  constructor(about) {
    this.queue = computed(() => [...this.foreign.value.values()].sort(queueOrder(about.value.seat, false)));
  }

  /** @param {string} region @returns {string} the district's name for people */
  label(region) {
    return this.neighbours.value.find((one) => one.region === region)?.label ?? region;
  }

  /** @param {string} region @returns {Neighbour | undefined} */
  neighbour(region) {
    return this.neighbours.value.find((one) => one.region === region);
  }

  /** @param {any} message @returns {boolean} whether it spoke of neighbours */
  take(message) {
    switch (message.type) {
      case "snapshot":
        this.foreign.value = new Map(message.foreign.map((/** @type {ForeignCase} */ one) => [one.id, one]));
        this.neighbours.value = message.neighbours;
        this.cards.value = message.cards;
        return true;
      case "foreign": this.foreign.value = new Map(this.foreign.value).set(message.case.id, message.case); return true;
      case "foreign_left": {
        const rest = new Map(this.foreign.value);
        if (rest.delete(message.case)) this.left.value = message;
        this.foreign.value = rest;
        return true;
      }
      case "neighbours": this.neighbours.value = message.neighbours; return true;
      case "cards": this.cards.value = message.cards; return true;
      default: return false;
    }
  }
}
