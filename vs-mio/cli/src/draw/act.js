// What the reader does: zoom, move, choose, filter.
const state = {
  model: null, scale: null, left: 0, zoom: 1, selected: null, hovered: null,
  shown: {
    rows: [], sender: -1,
    kinds: new Set(["messages", "sync messages", "changes", "signals", "primary", "gaps", "replicated state"]),
  },
};
let last = { drawn: {}, frame: null }, asked = false;
// For tests: what the last frame drew.
window.vsDraw = { get drawn() { return last.drawn; }, state };

function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; last = paint(state); });
}
const inner = () => Math.max(50, canvas.clientWidth - GUTTER);
const zoomMin = () => inner() / (state.scale.end * 1.02 || 1);

function keepInside() {
  state.zoom = Math.min(Math.max(state.zoom, zoomMin()), 4000);
  const most = Math.max(0, state.scale.end * 1.02 - inner() / state.zoom);
  state.left = Math.min(Math.max(state.left, 0), most);
}
function zoomBy(factor, at = GUTTER + inner() / 2) {
  const x = state.left + (at - GUTTER) / state.zoom;
  state.zoom *= factor;
  keepInside();
  state.left = x - (at - GUTTER) / state.zoom;
  keepInside();
  redraw();
}
function pan(pixels) { state.left += pixels / state.zoom; keepInside(); redraw(); }
function fit() { state.zoom = zoomMin(); state.left = 0; keepInside(); redraw(); }

function choose(view) {
  state.selected = view;
  detail(state.model, view);
  if (view) {
    // Its end, and what comes after it, are what one looks for.
    const from = Math.min(...view.spans.map((s) => s.x0)), to = Math.max(...view.spans.map((s) => s.x1));
    const room = (to - from) * 0.08 + 8;
    state.zoom = inner() / (to - from + 2 * room);
    state.left = from - room;
    keepInside();
  }
  redraw();
}
function step(by) {
  const { views } = state.model, at = state.selected ? views.indexOf(state.selected) : by > 0 ? -1 : views.length;
  choose(views[Math.min(Math.max(at + by, 0), views.length - 1)]);
}

function load(group) {
  state.model = build(group);
  state.selected = state.hovered = null;
  const rows = state.model.rows.map((row, i) => i).filter((i) => state.model.rows[i].spans.length);
  state.shown.rows = rows;
  state.shown.sender = -1;
  byId("rows").replaceChildren(...rows.map((row) => check(`process ${state.model.rows[row].id}`, true, (on) => {
    state.shown.rows = rows.filter((r) => (r === row ? on : state.shown.rows.includes(r)));
    filter();
  })));
  const senders = new Map(state.model.messages.map((m) => [m.process, data.processes[m.process]]));
  const options = [...senders].sort((x, y) => x[1] - y[1]).map(([process, id]) => new Option(id, process));
  byId("sender").replaceChildren(new Option("all", "-1"), ...options);
  rescale();
  summarise(state.model);
  tabulate(state.model, choose);
  detail(state.model, null);
}
function rescale() {
  state.scale = scaleOf(state.model, byId("real").checked);
  place(state.model, state.scale);
  filter();
  fit();
}
function filter() {
  sift(state.model, state.shown);
  state.hovered = null;
  byId("tip").hidden = true;
  redraw();
}
function check(text, on, act) {
  const box = element("input", undefined, { type: "checkbox" });
  box.checked = on;
  box.addEventListener("change", () => act(box.checked));
  const label = element("label");
  label.append(box, ` ${text}`);
  return label;
}

// What is under the pointer: a message, a mark or a span.
function under(x, y) {
  const { frame } = last;
  if (!frame || x < GUTTER) return null;
  const rows = frame.shown.rows, row = rows[Math.floor((y - AXIS) / frame.rowHeight)];
  if (row === undefined) return null;
  const r = state.model.rows[row], at = state.left + (x - GUTTER) / state.zoom, near = 7 / state.zoom;
  if (Math.abs(y - frame.rowY.get(row)) < 12 && last.drawn.marks) {
    for (const { at: places, list } of r.marked) {
      const mark = list[lowerBound(places, at - near)];
      if (mark && mark.x <= at + near) return { text: `process ${r.id}: ${WORDS[mark.kind](mark)}` };
    }
  }
  if (last.drawn.arrows) {
    const message = nearest(frame, x, y);
    if (message) return { message, text: aboutMessage(state.model, message) };
  }
  const span = r.spans[lowerBound(r.until, at)];
  return span && span.x0 <= at ? { span, text: aboutSpan(state.model, span) } : null;
}
function nearest(frame, x, y) {
  let best = null, least = 6;
  for (const row of frame.shown.rows) {
    const { at, list } = state.model.rows[row].shown, [from, to] = range(at, frame.left, frame.right);
    for (let i = from; i < to; i++) {
      const d = list[i], [x0, y0] = origin(frame, d), x1 = frame.toX(d.x), y1 = frame.rowY.get(row);
      const along = Math.min(1, Math.max(0, ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2 || 1)));
      const far = Math.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0));
      if (far < least) { least = far; best = d.message; }
    }
  }
  return best;
}
function hover(x, y) {
  const found = under(x, y), message = found && found.message || null;
  if (message !== state.hovered) { state.hovered = message; redraw(); }
  tell(found && found.text, x, y);
}
function tell(text, x, y) {
  const tip = byId("tip");
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  tip.style.left = `${Math.max(4, Math.min(x + 12, canvas.clientWidth - tip.offsetWidth - 4))}px`;
  tip.style.top = `${y + 16 + tip.offsetHeight > canvas.clientHeight ? Math.max(2, y - tip.offsetHeight - 10) : y + 16}px`;
}
// The next message, or the one before: what a pointer finds by hovering.
function walk(by) {
  const { steps } = state.model, right = state.left + inner() / state.zoom;
  if (!steps.length) return;
  let at = steps.indexOf(state.hovered) + by;
  if (!state.hovered) at = steps.findIndex((m) => m.x >= state.left && m.x <= right);
  const message = steps[Math.min(Math.max(at, 0), steps.length - 1)];
  state.hovered = message;
  if (message.x < state.left || message.x > right) {
    state.left = message.x - inner() / state.zoom / 2;
    keepInside();
  }
  redraw();
  requestAnimationFrame(() => {
    const y = last.frame.rowY.get(message.from) || AXIS;
    tell(aboutMessage(state.model, message), last.frame.toX(message.x), y);
  });
}

const pointers = new Map();
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY, moved: 0 });
});
canvas.addEventListener("pointermove", (event) => {
  const pointer = pointers.get(event.pointerId);
  if (!pointer) return hover(event.offsetX, event.offsetY);
  const before = [...pointers.values()].map((p) => p.x);
  const by = event.offsetX - pointer.x;
  Object.assign(pointer, { x: event.offsetX, y: event.offsetY, moved: pointer.moved + Math.abs(by) });
  const after = [...pointers.values()].map((p) => p.x);
  if (pointers.size === 2) {
    const spread = (x) => Math.max(20, Math.abs(x[0] - x[1]));
    return zoomBy(spread(after) / spread(before), (after[0] + after[1]) / 2);
  }
  pan(-by);
});
const lift = (event) => {
  const pointer = pointers.get(event.pointerId);
  pointers.delete(event.pointerId);
  if (!pointer || pointer.moved > 5 || event.type !== "pointerup") return;
  hover(event.offsetX, event.offsetY);
  const found = under(event.offsetX, event.offsetY);
  const view = found && (found.span && found.span.view || found.message && found.message.view);
  const chosen = state.model.views.find((v) => v.view === view);
  if (chosen) { state.selected = chosen; detail(state.model, chosen); redraw(); }
};
canvas.addEventListener("pointerup", lift);
canvas.addEventListener("pointercancel", lift);
canvas.addEventListener("pointerleave", () => { if (!pointers.size) hover(-1, -1); });
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return pan(event.deltaX || event.deltaY);
  zoomBy(Math.exp(-event.deltaY * 0.0022), event.offsetX);
}, { passive: false });
const KEYS = {
  ArrowLeft: () => pan(-80), ArrowRight: () => pan(80), "+": () => zoomBy(1.5), "=": () => zoomBy(1.5),
  "-": () => zoomBy(1 / 1.5), "0": fit, "[": () => step(-1), "]": () => step(1),
  ",": () => walk(-1), ".": () => walk(1),
  Escape: () => { choose(null); hover(-1, -1); fit(); }, d: () => toggle(), t: () => byId("real").click(),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /SELECT|INPUT/.test(event.target.tagName)) return;
  const act = KEYS[event.key];
  if (act) { event.preventDefault(); act(); }
});
function toggle() {
  const root = document.documentElement;
  const dark = root.classList.contains("dark") ||
    !root.classList.contains("light") && matchMedia("(prefers-color-scheme: dark)").matches;
  root.classList.toggle("dark", !dark);
  root.classList.toggle("light", dark);
  recolour();
}
function recolour() { readInks(); tabulate(state.model, choose); redraw(); }

byId("in").onclick = () => zoomBy(1.6);
byId("out").onclick = () => zoomBy(1 / 1.6);
byId("fit").onclick = fit;
byId("before").onclick = () => step(-1);
byId("after").onclick = () => step(1);
byId("dark").onclick = toggle;
byId("real").onchange = rescale;
byId("sender").onchange = (event) => { state.shown.sender = Number(event.target.value); filter(); };
byId("group").append(...data.groups.map((name, i) => new Option(name, i)));
byId("group").onchange = (event) => load(Number(event.target.value));
byId("kinds").append(...["messages", ...new Set(MARKS.values())].map((kind) =>
  check(kind, state.shown.kinds.has(kind), (on) => { state.shown.kinds[on ? "add" : "delete"](kind); filter(); })));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
// Paper is white.
let before = "";
window.addEventListener("beforeprint", () => {
  before = document.documentElement.className;
  document.documentElement.className = "light";
  recolour();
  // Paper does not wait for the next frame.
  last = paint(state);
});
window.addEventListener("afterprint", () => { document.documentElement.className = before; recolour(); });
new ResizeObserver(() => { if (state.scale) { keepInside(); redraw(); } }).observe(canvas.parentElement);
readInks();
legend();
load(0);
