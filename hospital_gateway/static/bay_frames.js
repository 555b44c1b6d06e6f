/**
 * The QR codes of one hand-over as they are read: in any order, each many times. What is in them the
 * gateway looks into (streams/bay_code.py); here they are only told apart and counted.
 */
const FRAME = /^FB1:([0-9A-F]{16}):(\d{1,3}):(\d{1,3}):/;

export class FrameCollection {
  /** @type {Map<number, string>} */ #texts = new Map();
  #digest = "";
  count = 0;

  /**
   * @param {string} text what a QR code says
   * @returns {boolean} whether it is a new one; one of another hand-over begins anew
   */
  take(text) {
    const found = FRAME.exec(text);
    if (!found) return false;
    const [, digest, index, count] = found;
    const of = `${digest} ${count}`;
    if (of !== this.#digest) {
      this.#texts.clear();
      this.#digest = of;
      this.count = Number(count);
    }
    if (this.#texts.has(Number(index))) return false;
    this.#texts.set(Number(index), text);
    return true;
  }

  get have() {
    return this.#texts.size;
  }

  get complete() {
    return this.count > 0 && this.have === this.count;
  }

  get texts() {
    return [...this.#texts.values()];
  }
}
