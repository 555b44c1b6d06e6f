/** Ids that a page makes: an action that is asked for twice with one id is done once. */

const ENCODING = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** @returns {string} a ULID */
export function newId() {
  let time = Date.now();
  let text = "";
  for (let place = 0; place < 10; place++, time = Math.floor(time / 32)) text = ENCODING[time % 32] + text;
  for (const byte of crypto.getRandomValues(new Uint8Array(16))) text += ENCODING[byte % 32];
  return text;
}
