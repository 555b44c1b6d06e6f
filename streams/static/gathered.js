// @ts-check
/** Longest wait for the own candidates, ms. */
const GATHER_WITHIN_MS = 500;

/**
 * Wait until the own candidates are known: without servers that is a matter of milliseconds.
 * @param {RTCPeerConnection} peer
 * @returns {Promise<void>}
 */
export function gathered(peer) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      peer.removeEventListener("icegatheringstatechange", look);
      resolve();
    };
    const look = () => {
      if (peer.iceGatheringState === "complete") done();
    };
    const timer = setTimeout(done, GATHER_WITHIN_MS);
    peer.addEventListener("icegatheringstatechange", look);
    look();
  });
}
