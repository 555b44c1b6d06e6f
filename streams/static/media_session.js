// @ts-check
/** Longest wait for the own candidates. */
const GATHER_WITHIN_MS = 500;
const CONNECT_WITHIN_MS = 8000;
const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 5000;

/** The server does not let us in. */
export class RefusedError extends Error {}

/**
 * What publishing (WHIP, RFC 9725) and viewing (WHEP) a stream have in common: the offer is posted
 * with a bearer token, the address that is answered is deleted at the end, and a path that is given
 * up is followed by another after a pause.
 *
 * Who extends it says what is sent or received (`prepare`), what to do when there was no path
 * (`failed`), and when one is lost (`watch`), and calls `begin` when it is made.
 */
export class MediaSession {
  static CONNECT_WITHIN_MS = CONNECT_WITHIN_MS;

  /**
   * @param {string} url The endpoint.
   * @param {string} token Bearer token, or an empty string where a cookie is enough.
   * @param {RTCIceServer[]} iceServers
   */
  constructor(url, token, iceServers) {
    this.url = url;
    this.token = token;
    this.iceServers = iceServers;
    this.connections = 0;
    /** @type {RTCPeerConnection | null} */
    this.peer = null;
    this.sessionUrl = "";
    this.startedAt = 0;
    this.pauseMs = FIRST_PAUSE_MS;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.retry = undefined;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this.watcher = undefined;
    this.leave = () => this.endSession(true);
  }

  /**
   * Add what is sent or received to a new connection.
   * @protected
   * @param {RTCPeerConnection} _peer
   */
  prepare(_peer) {}

  /**
   * A connection was not made.
   * @protected
   * @param {unknown} _error `RefusedError` where the server does not let us in.
   */
  failed(_error) {}

  /**
   * Look after the connection.
   * @protected
   * @param {RTCPeerConnection} _peer
   * @param {RTCStatsReport} _stats
   * @param {number} _now Of `performance`, ms.
   */
  watch(_peer, _stats, _now) {}

  /**
   * @protected
   * @param {number} watchEveryMs
   */
  begin(watchEveryMs) {
    this.watcher = setInterval(() => void this.look(), watchEveryMs);
    addEventListener("pagehide", this.leave);
    void this.connect();
  }

  /** @protected */
  finish() {
    clearInterval(this.watcher);
    clearTimeout(this.retry);
    removeEventListener("pagehide", this.leave);
    this.drop();
  }

  /** What works again starts again soon after its next loss. @protected */
  works() {
    this.pauseMs = FIRST_PAUSE_MS;
  }

  /**
   * Build a new connection after a pause.
   * @protected
   * @param {number} [pauseMs] Longer at each attempt by default.
   */
  again(pauseMs) {
    this.drop();
    const wait = pauseMs ?? this.pauseMs * (0.75 + 0.5 * Math.random());
    this.pauseMs = Math.min(2 * this.pauseMs, LONGEST_PAUSE_MS);
    this.retry = setTimeout(() => {
      this.retry = undefined;
      void this.connect();
    }, wait);
  }

  /** @private */
  async connect() {
    const peer = new RTCPeerConnection({ iceServers: this.iceServers, bundlePolicy: "max-bundle" });
    this.peer = peer;
    this.startedAt = performance.now();
    this.prepare(peer);
    try {
      await this.negotiate(peer);
      if (this.peer === peer) this.connections += 1;
    } catch (error) {
      if (this.peer === peer) this.failed(error); // else closed meanwhile
    }
  }

  /**
   * @private
   * @param {RTCPeerConnection} peer
   */
  async negotiate(peer) {
    await peer.setLocalDescription();
    await gathered(peer);
    const response = await fetch(this.url, {
      method: "POST",
      body: peer.localDescription?.sdp ?? "",
      headers: { ...this.authorization(), "Content-Type": "application/sdp" },
      signal: AbortSignal.timeout(CONNECT_WITHIN_MS),
    });
    const text = await response.text();
    if ([401, 403, 406].includes(response.status)) throw new RefusedError(text.trim());
    if (response.status !== 201) throw new Error(`${response.status} ${text.trim()}`);
    const location = response.headers.get("Location");
    const sessionUrl = location ? new URL(location, response.url).href : "";
    if (this.peer !== peer) {
      this.endSession(false, sessionUrl); // closed meanwhile: do not leave a session behind
      return;
    }
    this.sessionUrl = sessionUrl;
    await peer.setRemoteDescription({ type: "answer", sdp: text });
  }

  /** @private */
  async look() {
    const peer = this.peer;
    if (!peer || this.retry !== undefined) return;
    const stats = await peer.getStats();
    if (this.peer === peer) this.watch(peer, stats, performance.now());
  }

  /** @private */
  drop() {
    this.endSession(false);
    this.peer?.close();
    this.peer = null;
  }

  /**
   * @private
   * @param {boolean} leaving Whether the page goes away.
   * @param {string} [url]
   */
  endSession(leaving, url = this.sessionUrl) {
    if (!url) return;
    if (url === this.sessionUrl) this.sessionUrl = "";
    fetch(url, { method: "DELETE", headers: this.authorization(), keepalive: leaving }).catch(
      () => {}, // gone already
    );
  }

  /**
   * @private
   * @returns {Record<string, string>}
   */
  authorization() {
    return this.token ? { Authorization: `Bearer ${this.token}` } : {};
  }
}

/**
 * Wait until the own candidates are known: without servers that is a matter of milliseconds.
 * @param {RTCPeerConnection} peer
 * @returns {Promise<void>}
 */
function gathered(peer) {
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
