/**
 * One import for what every page is made of: preact, htm and signals.
 *
 *     import { html, render, signal } from "/static/shared/view.js";
 *     const count = signal(0);
 *     render(html`<button onClick=${() => count.value++}>${count}</button>`, document.body);
 *
 * A component that reads `signal.value` is drawn again when the signal changes, by itself.
 */
import { h, render, Fragment, createRef } from "./vendor/preact.js";
import { useEffect, useLayoutEffect, useRef, useMemo, useState, useCallback } from "./vendor/preact_hooks.js";
import { signal, computed, effect, batch, untracked, useSignal, useComputed } from "./vendor/signals.js";
import htm from "./vendor/htm.js";

/** Tagged template that makes preact elements: html`<p>${text}</p>`. */
export const html = htm.bind(h);

export {
  h, render, Fragment, createRef,
  useEffect, useLayoutEffect, useRef, useMemo, useState, useCallback,
  signal, computed, effect, batch, untracked, useSignal, useComputed,
};
