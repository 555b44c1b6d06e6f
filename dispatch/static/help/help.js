/** The door for who cannot speak: one button opens a case, and the same phone comes back to the same one. */

const KEPT_AS = "forerun.help.phone";
const TIMEOUT_MS = 10_000;
const AGAIN_MS = 2000;
const element = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const button = /** @type {HTMLButtonElement} */ (element("open"));

/** This phone's random name; without storage it lasts as long as the page. */
const phone = kept() ?? crypto.randomUUID();
function kept() {
  try {
    const known = localStorage.getItem(KEPT_AS);
    if (known) return known;
    const made = crypto.randomUUID();
    localStorage.setItem(KEPT_AS, made);
    return made;
  } catch {
    return null; // storage may be forbidden
  }
}

/** @param {"open" | "wait" | "busy" | "cut"} now what is shown */
function show(now) {
  button.disabled = now !== "open";
  for (const id of ["wait", "busy", "cut"]) element(id).hidden = id !== now;
}

/** @param {string} number to call by voice; empty where none is known */
function showNumber(number) {
  for (const one of document.querySelectorAll(".number")) one.textContent = number;
  for (const one of document.querySelectorAll(".voice")) /** @type {HTMLElement} */ (one).hidden = !number;
  for (const one of document.querySelectorAll(".nearby")) /** @type {HTMLElement} */ (one).hidden = Boolean(number);
}

async function ask() {
  show("wait");
  try {
    const answer = await fetch("/help", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ phone }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (answer.status === 429) return busy(await answer.json());
    if (!answer.ok) throw new Error(String(answer.status));
    location.replace((await answer.json()).path); // who leaves the call must not come back here
  } catch {
    show("cut");
    setTimeout(() => void ask(), AGAIN_MS); // pressed once is asked for until it is there
  }
  return undefined;
}

/** @param {{retry_s: number, number: string}} told */
function busy(told) {
  showNumber(told.number);
  show("busy");
  let left = told.retry_s;
  const tick = () => {
    for (const one of document.querySelectorAll(".seconds")) one.textContent = String(left);
    if (left-- <= 0) return show("open");
    return void setTimeout(tick, 1000);
  };
  tick();
}

showNumber("");
button.addEventListener("click", () => void ask());
addEventListener("pageshow", (event) => { if (event.persisted) show("open"); }); // back from the call
fetch("/help/about").then(async (answer) => showNumber((await answer.json()).number)).catch(() => {});
