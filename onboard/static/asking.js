/**
 * What the page has asked the agent for and knows no answer of. Asked for again, it keeps its id, so
 * that a second tap never makes a second note or a second alert.
 */
import { newId } from "/static/shared/new_id.js";

/** Two taps for a note of "a minute ago" say times that lie apart by what passed between them, ms. */
const SAME_MS = 5000;

/** @typedef {Record<string, any>} Action */
/** @typedef {{id: string, action: Action, askedMs: number, done: Promise<boolean>, settle: (done: boolean) => void}} Asked */

export class Asking {
  /** @type {Map<string, Asked>} */ #open = new Map();

  /**
   * Returns what is to be sent for a tap: as before, if the same was asked for and is not answered.
   * @param {Action} action @param {number} nowMs
   * @returns {{asked: Asked, again: boolean}}
   */
  ask(action, nowMs) {
    const known = [...this.#open.values()].find((one) => isSame(one, action, nowMs));
    if (known) return { asked: known, again: true };
    let settle = (/** @type {boolean} */ _done) => {};
    const done = /** @type {Promise<boolean>} */ (new Promise((resolve) => { settle = resolve; }));
    const asked = { id: newId(), action, askedMs: nowMs, done, settle };
    this.#open.set(asked.id, asked);
    return { asked, again: false };
  }

  /** @param {string} id @returns {boolean} whether no answer is known */
  waits(id) {
    return this.#open.has(id);
  }

  /**
   * Takes an answer, or what shows that there was one.
   * @param {string} id @param {boolean} done
   * @returns {boolean} whether it was waited for
   */
  settle(id, done) {
    const asked = this.#open.get(id);
    this.#open.delete(id);
    asked?.settle(done);
    return asked !== undefined;
  }
}

/** @param {Asked} known @param {Action} action @param {number} nowMs */
function isSame({ action: before, askedMs }, action, nowMs) {
  const { at_ms: then, ...rest } = before;
  const { at_ms: at, ...same } = action;
  if (JSON.stringify(rest) !== JSON.stringify(same)) return false;
  if (then === at) return true;
  return action.action === "note" && Math.abs(nowMs - at - (askedMs - then)) < SAME_MS;
}
