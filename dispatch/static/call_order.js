/** Who comes next: which calls wait for somebody, and in which order the queue stands. */

/** @typedef {import("./state.js").Case} Case */
/** @typedef {import("./state.js").Call} Call */

const RANK = { red: 0, yellow: 1, unknown: 2, green: 3 };

/** Somebody has to answer, and nobody does. */
const UNANSWERED = new Set(["ringing", "unattended"]);

/** @param {Case} one @param {string} seat @returns {boolean} whether it is offered to this seat */
export const isOffered = (one, seat) => one.call?.phase === "offered" && one.call.offered_to === seat;

/** @param {Case} one @returns {boolean} whether any seat may answer it now */
export const rings = (one) => UNANSWERED.has(one.call?.phase ?? "");

/** @param {Case} one @returns {boolean} whether somebody is on the line, answered or not */
export const hasCaller = (one) => !!one.call && !["ended", "lost"].includes(one.call.phase);

/** @param {Case} one @param {string} seat @returns {boolean} whether this seat has the caller */
export function isMine(one, seat) {
  return one.call?.seat === seat && ["talking", "held", "offered", "calling"].includes(one.call.phase);
}

/**
 * What this seat has on the line first; then what rings, the longest wait first among equals; then who
 * has to be called back; then cases by urgency, those without a unit and the newest first.
 *
 * In a surge, what is probably a case that is known already rings behind all others.
 * @param {string} seat @param {boolean} isSurge
 * @returns {(a: Case, b: Case) => number}
 */
export function queueOrder(seat, isSurge) {
  /** @param {Case} one */
  const group = (one) => {
    if (isMine(one, seat)) return 0;
    if (isOffered(one, seat) || rings(one)) return 1;
    return one.call?.phase === "lost" ? 2 : 3;
  };
  return (a, b) => {
    const first = group(a);
    if (first !== group(b)) return first - group(b);
    const repeats = isSurge && first === 1 ? Number(!!a.maybe) - Number(!!b.maybe) : 0;
    if (repeats) return repeats;
    const urgency = RANK[a.severity] - RANK[b.severity];
    if (urgency) return urgency;
    if (first < 3) return Number(a.call?.rang_ms) - Number(b.call?.rang_ms);
    return Number(!!a.unit) - Number(!!b.unit) || b.opened_ms - a.opened_ms;
  };
}

/**
 * The call that a seat takes with one key: one that is offered to it, else the first that rings.
 * @param {Case[]} queue in its order @param {string} seat
 */
export function nextCall(queue, seat) {
  return queue.find((one) => isOffered(one, seat)) ?? queue.find(rings) ?? null;
}
