/** Draws the address of the help page as a QR code, for a poster or a card. */
import { encodeQR } from "/static/shared/vendor/qr.js";

const element = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const { address } = await (await fetch("/help/about")).json();
// Level H: a third of it may be scratched off a poster.
const svg = encodeQR(address, "svg", { ecc: "high" });
const drawing = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
drawing.setAttribute("role", "img");
drawing.setAttribute("aria-label", address);
element("code").append(drawing);
element("address").textContent = address;
const file = /** @type {HTMLAnchorElement} */ (element("file"));
file.href = `data:image/svg+xml;utf8,${encodeURIComponent(svg)}`;
