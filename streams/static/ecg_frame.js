/**
 * A live ECG frame as a server sends it to its pages: which recording, when, and the coded block.
 *
 * The same layout comes from the hospital's gateway (hospital_gateway/live.py) and from the vehicle's
 * agent (onboard/tablet.py, without flags).
 */

const VERSION = 1;
const PAST = 0x01;
const RECORDED = 0x02;
const EVERY_SHIFT = 4;
const HEAD_BYTES = 37;
/** Where a coded frame says how many samples it has, and the number of the first (ecg_block.py). */
const LENGTH_AT = 2;
const FIRST_AT = 4;

/**
 * Reads the head of a frame; the block stays coded.
 * @param {ArrayBuffer} buffer
 * @returns {{past: boolean, recorded: boolean, every: number, caseId: string, newestMs: number, setupId: string, block: Uint8Array,
 *   length: number, first: number} | null} null for a frame of a newer server
 */
export function readFrame(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < HEAD_BYTES || view.getUint8(0) !== VERSION) return null;
  const text = new TextDecoder();
  const blockAt = HEAD_BYTES + view.getUint8(36);
  const block = new Uint8Array(buffer, blockAt);
  const inside = new DataView(buffer, blockAt);
  return {
    past: (view.getUint8(1) & PAST) !== 0,
    recorded: (view.getUint8(1) & RECORDED) !== 0,
    every: (view.getUint8(1) >> EVERY_SHIFT) + 1,
    caseId: text.decode(new Uint8Array(buffer, 2, 26)),
    newestMs: view.getFloat64(28, true),
    setupId: text.decode(new Uint8Array(buffer, HEAD_BYTES, view.getUint8(36))),
    block,
    length: inside.getUint16(LENGTH_AT, true),
    first: Number(inside.getBigInt64(FIRST_AT, true)),
  };
}
