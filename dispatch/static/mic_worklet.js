/** The microphone's samples as signed 16 bits, in blocks, with their loudness; runs in the audio thread. */

/** Samples of a block: 32 ms at 16 kHz, a frame of the hub's voice-activity detection. */
const BLOCK = 512;

const scope = /** @type {any} */ (globalThis); // an AudioWorkletGlobalScope, of which the types know nothing

class Microphone extends scope.AudioWorkletProcessor {
  #block = new Int16Array(BLOCK);
  #filled = 0;
  #power = 0;

  /** @param {Float32Array[][]} inputs @returns {boolean} */
  process([input]) {
    for (const sample of input?.[0] ?? []) {
      const bounded = Math.max(-1, Math.min(1, sample));
      this.#power += bounded * bounded;
      this.#block[this.#filled++] = Math.round(bounded * 32767);
      if (this.#filled < BLOCK) continue;
      const { buffer } = this.#block;
      /** @type {any} */ (this).port.postMessage({ buffer, level: Math.sqrt(this.#power / BLOCK) }, [buffer]);
      this.#block = new Int16Array(BLOCK);
      this.#filled = this.#power = 0;
    }
    return true;
  }
}

scope.registerProcessor("microphone", Microphone);
