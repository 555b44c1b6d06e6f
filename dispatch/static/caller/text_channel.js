/**
 * The characters' second way: a WebRTC data channel of T.140 (RFC 8865) beside the WebSocket.
 *
 * A lost TCP segment or a proxy that holds a connection stops everything behind it; this way is
 * another one. It says where its characters begin in a string that T.140 displays pass over
 * (SOS … ST), and hears there how many the hub has, so the page may change ways at any moment.
 */

/** The peer has to be reached in this time, ms. */
const OPEN_MS = 8000;
/** Pauses before another try, ms. */
const PAUSES_MS = [5000, 10_000, 20_000, 60_000];
/** Bytes that wait in the channel before the page waits with more. */
const MOST_BUFFERED = 64 * 1024;
const TAKEN = /\x98taken (\d+)\x9c/; // eslint-disable-line no-control-regex

/**
 * @typedef {object} ChannelEvents
 * @property {() => void} onOpen text can go
 * @property {() => void} onLost it cannot any more
 * @property {(count: number) => void} onTaken the hub has so many characters
 */

export class TextChannel {
  /** @type {RTCPeerConnection | null} */ #peer = null;
  /** @type {RTCDataChannel | null} */ #channel = null;
  /** Number of the character that comes next; -1: to be said. */
  #next = -1;
  #failed = 0;
  #timer = 0;
  #isOver = false;

  /** @param {string} path of the page @param {string} session @param {ChannelEvents} events */
  constructor(path, session, events) {
    this.url = `${path}/rtc?counted=1&session=${session}`;
    this.events = events;
    if (typeof RTCPeerConnection === "function") void this.#open();
  }

  get isOpen() {
    return this.#channel?.readyState === "open";
  }

  /**
   * @param {number} start characters of the session before these
   * @param {string[]} points by code points
   * @returns {boolean} whether they are on their way
   */
  send(start, points) {
    const channel = this.#channel;
    if (!channel || channel.readyState !== "open" || channel.bufferedAmount > MOST_BUFFERED) return false;
    channel.send((start === this.#next ? "" : `\x98from ${start}\x9c`) + points.join(""));
    this.#next = start + points.length;
    return true;
  }

  /** Gives this way up; it is tried again after a pause. */
  drop() {
    const wasOpen = this.#channel !== null;
    this.#close();
    if (this.#isOver) return;
    clearTimeout(this.#timer);
    const pause = PAUSES_MS[Math.min(this.#failed++, PAUSES_MS.length - 1)];
    this.#timer = setTimeout(() => void this.#open(), pause * (0.75 + Math.random() / 2));
    if (wasOpen) this.events.onLost();
  }

  /** Ends it for good. */
  end() {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#close();
  }

  #close() {
    this.#channel = null;
    this.#peer?.close();
    this.#peer = null;
  }

  async #open() {
    const peer = new RTCPeerConnection();
    this.#peer = peer;
    this.#timer = setTimeout(() => peer === this.#peer && this.drop(), OPEN_MS);
    peer.onconnectionstatechange = () => {
      if (peer === this.#peer && ["failed", "closed"].includes(peer.connectionState)) this.drop();
    };
    const channel = peer.createDataChannel("text", { protocol: "t140", ordered: true });
    channel.onopen = () => peer === this.#peer && this.#opened(channel);
    channel.onclose = () => peer === this.#peer && this.drop();
    channel.onmessage = ({ data }) => {
      const taken = TAKEN.exec(data);
      if (taken) this.events.onTaken(Number(taken[1]));
    };
    try {
      await peer.setLocalDescription();
      // The hub's address is in its answer, and it sees ours when we ask: no candidate is waited for.
      const answer = await fetch(this.url, {
        method: "POST", headers: { "Content-Type": "application/sdp" }, body: peer.localDescription?.sdp,
      });
      if (answer.status === 409 || answer.status === 403) return this.end();
      if (!answer.ok) throw new Error(String(answer.status));
      const sdp = await answer.text();
      if (peer === this.#peer) await peer.setRemoteDescription({ type: "answer", sdp });
    } catch {
      if (peer === this.#peer) this.drop();
    }
    return undefined;
  }

  /** @param {RTCDataChannel} channel */
  #opened(channel) {
    clearTimeout(this.#timer);
    this.#channel = channel;
    this.#next = -1;
    this.#failed = 0;
    this.events.onOpen();
  }
}
