// Draws the visible part of the model, in work that the screen bounds, however long the run was.
const ARROWS_MAX = 1500, MARK_ROOM = 48, OPERATION_ROOM = 7, COLUMN = 3, AXIS = 26, GUTTER = 46;
// Narrower bands are not told apart: pieces stand for them, so each item takes BAND_MIN at least.
const BAND_MIN = 4, PIECE = 8, BAR_MIN = 6, BAR_ROOM = 10, TRANSFERS_MAX = 300;
const canvas = document.getElementById("canvas"), pen = canvas.getContext("2d");
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const hue = (view) => (view * 137.508 + 205) % 360;
let inks = {};

function readInks() {
  inks = { back: style("--back"), ink: style("--ink"), soft: style("--soft"), line: style("--line"),
    bad: style("--bad"), light: style("--band-light"), text: style("--band-ink"), mark: style("--mark") };
}
const bandInk = (view) => view < 0 ? inks.line : `hsl(${hue(view)} 62% ${inks.light})`;
const edgeInk = (view) => view < 0 ? inks.soft : `hsl(${hue(view)} 60% ${inks.mark})`;
const textInk = (view) => view < 0 ? inks.soft : `hsl(${hue(view)} 55% ${inks.text})`;

// Paints `state`; answers how much was drawn.
function paint(state) {
  const { model, left, zoom, shown } = state, ratio = window.devicePixelRatio || 1;
  const rows = shown.rows, width = canvas.clientWidth;
  const rowHeight = Math.max(40, Math.min(92, (window.innerHeight * 0.62 - AXIS) / Math.max(1, rows.length)));
  const height = AXIS + rowHeight * rows.length + 8;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
  }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.fillStyle = inks.back;
  pen.fillRect(0, 0, width, height);
  const toX = (x) => GUTTER + (x - left) * zoom, right = left + (width - GUTTER) / zoom;
  const rowY = new Map(rows.map((row, i) => [row, AXIS + rowHeight * (i + 0.5)]));
  const frame = { ...state, wide: new Map(), toX, right, rowY, rowHeight, width, height, half: rowHeight * 0.34 };
  const drawn = { spans: 0, arrows: 0, columns: 0, marks: 0 };
  pen.save();
  pen.beginPath();
  pen.rect(GUTTER, 0, width - GUTTER, height);
  pen.clip();
  axis(frame);
  for (const row of rows) drawn.spans += bands(frame, row);
  together(frame);
  const visible = rows.map((row) => range(model.rows[row].shown.at, left, right));
  const count = visible.reduce((sum, [from, to]) => sum + to - from, 0);
  if (count <= ARROWS_MAX) drawn.arrows = arrows(frame, visible);
  else drawn.columns = density(frame);
  if (state.hovered) highlight(frame, state.hovered);
  drawn.marks = marks(frame) + transfers(frame);
  for (const row of rows) labels(frame, row);
  for (const row of rows) ends(frame, row);
  pen.restore();
  gutter(frame);
  return { drawn, frame };
}

function axis({ model, scale, toX, width, height }) {
  pen.font = "12px system-ui, sans-serif";
  pen.textBaseline = "middle";
  pen.fillStyle = inks.soft;
  pen.strokeStyle = inks.line;
  pen.lineWidth = 1;
  // Where views begin, with the time since the start; as many as have room.
  let last = -Infinity;
  for (const view of model.views) {
    const x = toX(scale.of(view.from));
    if (x < last + 74 || x < GUTTER || x > width) continue;
    last = x;
    pen.beginPath();
    pen.moveTo(x, AXIS - 6);
    pen.lineTo(x, height);
    pen.stroke();
    pen.fillText(`+${duration(view.from - model.first)}`, x + 3, 11);
  }
}

// The views of a process, as bands.
function bands({ model, toX, left, right, zoom, wide, rowY, half, selected }, row) {
  const y = rowY.get(row), { spans, until } = model.rows[row], seen = [];
  let drawn = 0;
  wide.set(row, seen);
  for (let i = lowerBound(until, left); i < spans.length && spans[i].x0 <= right; drawn++) {
    const span = spans[i];
    const from = Math.max(toX(span.x0), GUTTER - 20), to = Math.min(toX(span.x1), 20000);
    if (to - from < BAND_MIN && span.view >= 0) {
      const next = Math.max(i + 1, lowerBound(until, left + (from - GUTTER + PIECE) / zoom));
      const end = toX(spans[next - 1].x1);
      pen.fillStyle = next === i + 1 ? edgeInk(span.view) : inks.line;
      pen.fillRect(from, y - half, Math.max(2, Math.min(PIECE, end - from)), 2 * half);
      i = next;
      continue;
    }
    i++;
    seen.push(span);
    band(span, from, to, y, half, toX);
    if (selected && span.view >= 0 && selected.view === span.view) {
      pen.strokeStyle = edgeInk(span.view);
      pen.lineWidth = 2;
      pen.strokeRect(from + 1, y - half, Math.max(1, to - from - 2), 2 * half);
    }
  }
  return drawn;
}

function band(span, from, to, y, half, toX) {
  const size = span.view < 0 ? 3 : half, silent = Math.min(Math.max(toX(span.xs), from), to);
  pen.fillStyle = bandInk(span.view);
  pen.fillRect(from, y - size, Math.max(1, silent - from), 2 * size);
  // It says no more, and is there as far as anybody knows.
  pen.globalAlpha = 0.45;
  pen.fillRect(silent, y - size, to - silent, 2 * size);
  pen.globalAlpha = 1;
  if (span.view < 0) return;
  pen.fillStyle = edgeInk(span.view);
  pen.fillRect(from, y - half, 2, 2 * half);
}

// What each band is, over all else.
function labels({ toX, wide, rowY, half }, row) {
  pen.textBaseline = "middle";
  for (const span of wide.get(row)) {
    if (span.view < 0) continue;
    const start = Math.max(toX(span.x0), GUTTER), room = Math.min(toX(span.x1), canvas.clientWidth) - start - 10;
    if (room > 12) label(span, start + 6, rowY.get(row), room, half);
  }
}

function label(span, x, y, room, half) {
  const name = nameOf(span.view), members = membersOf(span.view);
  const count = `${span.delivered} ${span.delivered === 1 ? "message" : "messages"}`;
  const short = idOf(span.view);
  const bold = "600 13px system-ui, sans-serif", plain = "12px system-ui, sans-serif";
  const fits = (text, font) => { pen.font = font; return pen.measureText(text).width <= room; };
  const top = y - half + 10, bottom = y + half - 9;
  if (half < 18) {
    const only = [`${name} · ${count}`, `${short} · ${span.delivered}`, short].find((text) => fits(text, plain));
    if (only) backed(span, only, x, y);
    return;
  }
  const first = [`${name} ${members}`, name, short].find((text) => fits(text, bold));
  if (first) backed(span, first, x, top);
  const second = [count, String(span.delivered)].find((text) => fits(text, plain));
  if (second) backed(span, second, x, bottom);
}

function backed(span, text, x, y) {
  pen.fillStyle = bandInk(span.view);
  pen.globalAlpha = 0.85;
  pen.fillRect(x - 3, y - 8, pen.measureText(text).width + 6, 16);
  pen.globalAlpha = 1;
  pen.fillStyle = textInk(span.view);
  pen.fillText(text, x, y);
}

// Who went on together: a bar that joins the processes of a transitional set where they install.
function together(frame) {
  const { model, left, right, zoom, rowY } = frame;
  let before = -Infinity;
  for (const view of model.views) {
    const isCrowded = view.width * zoom < BAR_MIN && (view.x0 - before) * zoom < BAR_ROOM;
    before = view.x0;
    if (view.x1 < left || view.x0 > right || isCrowded) continue;
    for (const all of view.sets) {
      const spans = all.filter((span) => rowY.has(span.row));
      if (spans.length < 2) continue;
      spans.forEach((span, i) => joint(frame, span, spans[i + 1]));
      pen.fillStyle = edgeInk(view.view);
      for (const span of spans) {
        pen.beginPath();
        pen.arc(frame.toX(span.x0), rowY.get(span.row), 4.5, 0, 7);
        pen.fill();
      }
    }
  }
}

// The part of a bar from one process to the next one that came along.
function joint({ toX, rowY, half, shown }, span, next) {
  const x = toX(span.x0), y = rowY.get(span.row);
  pen.strokeStyle = edgeInk(span.view);
  pen.lineWidth = 3;
  pen.lineJoin = "round";
  pen.beginPath();
  pen.moveTo(x, y - half);
  pen.lineTo(x, y + half);
  pen.stroke();
  if (!next) return;
  // Who lies between and did not come along is crossed by a thin line.
  const between = shown.rows.some((row) => row > span.row && row < next.row);
  pen.setLineDash(between ? [2, 4] : []);
  pen.lineWidth = between ? 1.5 : 3;
  pen.beginPath();
  pen.moveTo(x, y + half);
  pen.lineTo(toX(next.x0), rowY.get(next.row) - half);
  pen.stroke();
  pen.setLineDash([]);
}

// Each message as arrows from where it was sent to where it was delivered.
function arrows(frame, visible) {
  const { model, shown, hovered } = frame;
  let drawn = 0;
  shown.rows.forEach((row, i) => {
    const { list } = model.rows[row].shown;
    for (let at = visible[i][0]; at < visible[i][1]; at++) {
      if (list[at].message === hovered) continue;
      arrow(frame, list[at], hovered ? 0.15 : 0.8, 1.3);
      drawn++;
    }
  });
  pen.globalAlpha = 1;
  return drawn;
}

// One message at all who delivered it.
function highlight(frame, message) {
  for (const delivery of message.at) if (frame.rowY.has(delivery.row)) arrow(frame, delivery, 1, 2.6);
  pen.globalAlpha = 1;
}

// Where an arrow begins: a sender without a trace is somewhere above.
function origin({ toX, rowY }, { message, row, x }) {
  const y = rowY.get(message.from);
  return y === undefined ? [toX(x) - 9, rowY.get(row) - 15] : [toX(message.x), y];
}

function arrow(frame, delivery, alpha, width) {
  const { message } = delivery, [x0, y0] = origin(frame, delivery);
  const x1 = frame.toX(delivery.x), y1 = frame.rowY.get(delivery.row);
  pen.globalAlpha = alpha;
  pen.strokeStyle = pen.fillStyle = edgeInk(message.view);
  pen.lineWidth = width;
  pen.beginPath();
  pen.arc(x0, y0, width + 1, 0, 7);
  pen.fill();
  pen.beginPath();
  if (delivery.row === message.from) {
    pen.moveTo(x1, y1 - 5);
    pen.lineTo(x1, y1 + 5);
    pen.stroke();
    return;
  }
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
  const angle = Math.atan2(y1 - y0, x1 - x0), size = 4 + width;
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x1 - size * Math.cos(angle - 0.4), y1 - size * Math.sin(angle - 0.4));
  pen.lineTo(x1 - size * Math.cos(angle + 0.4), y1 - size * Math.sin(angle + 0.4));
  pen.fill();
}

// Too many for arrows: how many were delivered in each part of the line.
function density({ model, left, zoom, width, rowY, half, shown }) {
  let drawn = 0;
  for (const row of shown.rows) {
    const { at, list } = model.rows[row].shown, y = rowY.get(row);
    let from = lowerBound(at, left);
    for (let x = GUTTER; x < width && from < at.length; x += COLUMN) {
      const to = lowerBound(at, left + (x - GUTTER + COLUMN) / zoom);
      if (to > from) {
        const size = Math.min(half * 0.5, 1.5 + Math.log2(1 + (to - from)) * 1.6);
        pen.fillStyle = edgeInk(list[from].message.view);
        pen.globalAlpha = 0.55;
        pen.fillRect(x, y - size, COLUMN - 1, 2 * size);
        drawn++;
      }
      from = to;
    }
  }
  pen.globalAlpha = 1;
  return drawn;
}

const SHAPES = {
  [KIND.startChange]: (x, y) => { pen.moveTo(x - 4, y - 5); pen.lineTo(x + 4, y); pen.lineTo(x - 4, y + 5); pen.closePath(); },
  [KIND.mbrView]: (x, y) => pen.rect(x - 4, y - 4, 8, 8),
  [KIND.sync]: (x, y) => { pen.moveTo(x, y - 6); pen.lineTo(x + 5, y); pen.lineTo(x, y + 6); pen.lineTo(x - 5, y); pen.closePath(); },
  [KIND.signal]: (x, y) => { pen.rect(x - 1, y - 14, 2, 28); },
  [KIND.snapshot]: (x, y) => pen.rect(x - 5, y - 3.5, 10, 7),
  [KIND.restore]: (x, y) => pen.rect(x - 5, y - 3.5, 10, 7),
};

// Some happen at once, and are all to be seen.
const OFFSETS = new Map([[KIND.startChange, -0.35], [KIND.mbrView, 0.35], [KIND.primary, 0.7]]);

// Marks of the protocol are left out where they would lie on each other, those of operations thinned.
function marks(frame) {
  const { model, left, right, toX, zoom, rowY, half, shown } = frame;
  const of = (row, which) => model.rows[row].marked[which];
  const ranges = shown.rows.map((row) => range(of(row, 0).at, left, right));
  const many = ranges.reduce((most, [from, to]) => Math.max(most, to - from), 0) * MARK_ROOM > canvas.clientWidth;
  let drawn = 0;
  shown.rows.forEach((row, i) => {
    const y = rowY.get(row), protocol = of(row, 0), operations = of(row, 1);
    const until = lowerBound(operations.at, right);
    for (let at = lowerBound(operations.at, left); at < until; drawn++) {
      const x = operations.at[at];
      mark(operations.list[at], toX(x), y);
      at = Math.max(at + 1, lowerBound(operations.at, x + OPERATION_ROOM / zoom));
    }
    for (let at = ranges[i][0]; at < ranges[i][1] && !many; at++, drawn++) {
      const { kind } = protocol.list[at];
      mark(protocol.list[at], toX(protocol.at[at]), y + half * (OFFSETS.get(kind) || 0));
    }
  });
  return drawn;
}

function mark({ kind }, x, y) {
  pen.beginPath();
  (SHAPES[kind] || ((x, y) => pen.arc(x, y, 3, 0, 7)))(x, y);
  pen.lineWidth = 1.5;
  pen.strokeStyle = kind === KIND.lapsed || kind === KIND.gap ? inks.bad : inks.ink;
  pen.fillStyle = kind === KIND.sync || kind === KIND.settled ? inks.ink : inks.back;
  pen.fill();
  pen.stroke();
}

// The way of a state to a joiner.
function transfers({ model, left, right, toX, rowY, shown }) {
  if (!shown.kinds.has("replicated state")) return 0;
  const visible = model.transfers.filter(({ offer, restore }) => rowY.has(offer.row) && rowY.has(restore.row) &&
    restore.x >= left && offer.x <= right);
  if (visible.length > TRANSFERS_MAX) return 0;
  pen.strokeStyle = inks.ink;
  pen.lineWidth = 2;
  pen.setLineDash([7, 4]);
  for (const { offer, restore } of visible) {
    pen.beginPath();
    pen.moveTo(toX(offer.x), rowY.get(offer.row));
    pen.lineTo(toX(restore.x), rowY.get(restore.row));
    pen.stroke();
  }
  pen.setLineDash([]);
  return visible.length;
}

function ends({ model, toX, left, right, rowY }, row) {
  let last = -Infinity;
  for (const end of model.rows[row].ends) {
    const x = toX(end.x), y = rowY.get(row), killed = end.what !== "left";
    if (end.x < left || end.x > right || x < last + COLUMN) continue;
    last = x;
    pen.strokeStyle = killed ? inks.bad : inks.soft;
    pen.lineWidth = killed ? 3 : 2;
    pen.beginPath();
    if (killed) { pen.moveTo(x - 6, y - 6); pen.lineTo(x + 6, y + 6); pen.moveTo(x + 6, y - 6); pen.lineTo(x - 6, y + 6); }
    else { pen.moveTo(x, y - 9); pen.lineTo(x, y + 9); }
    pen.stroke();
  }
}

function gutter({ model, rowY, height, shown }) {
  pen.fillStyle = inks.back;
  pen.fillRect(0, 0, GUTTER, height);
  pen.textBaseline = "middle";
  pen.fillStyle = inks.ink;
  for (const row of shown.rows) {
    const name = String(model.rows[row].id);
    pen.font = name.length > 5 ? "600 10px system-ui, sans-serif" : "600 15px system-ui, sans-serif";
    pen.fillText(name.length > 7 ? `…${name.slice(-5)}` : name, 6, rowY.get(row));
  }
  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = inks.soft;
  pen.fillText("process", 3, 11);
}
