/** What this tab keeps until it is closed or left. A browser that forbids it has a page all the same. */

/** @param {string} name @returns {any} what was kept; null for nothing */
export function kept(name) {
  try {
    return JSON.parse(sessionStorage.getItem(name) ?? "null");
  } catch {
    return null;
  }
}

/** @param {string} name @param {any} value null takes it away */
export function keep(name, value) {
  try {
    if (value === null) sessionStorage.removeItem(name);
    else sessionStorage.setItem(name, JSON.stringify(value));
  } catch {
    // kept while the page is there
  }
}

/** Leaves nothing of it. */
export function forget() {
  try {
    sessionStorage.clear();
  } catch {
    // there is nothing
  }
}
