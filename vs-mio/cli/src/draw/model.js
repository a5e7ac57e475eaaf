// What the traces say: rows, spans of views, messages, marks. Nothing here draws.
const KIND = {
  start: 0, leave: 1, crash: 2, brokenOff: 3, startChange: 4, mbrView: 5, block: 6, blockOk: 7,
  send: 8, deliver: 9, sync: 10, forward: 11, view: 12, signal: 13, primary: 14, lapsed: 15,
  restored: 16, gap: 17, create: 18, recover: 19, snapshot: 20, restore: 21, settled: 22, serve: 23,
  open: 24, apply: 25, pass: 26, call: 27, reply: 28, collect: 29, heard: 30, collected: 31,
};
const MARKS = new Map([
  [KIND.startChange, "changes"], [KIND.mbrView, "changes"], [KIND.sync, "sync messages"],
  [KIND.block, "blocks"], [KIND.blockOk, "blocks"], [KIND.forward, "forwards"],
  [KIND.signal, "signals"], [KIND.primary, "primary"], [KIND.lapsed, "primary"],
  [KIND.restored, "primary"], [KIND.gap, "gaps"],
]);
for (let kind = KIND.create; kind <= KIND.serve; kind++) MARKS.set(kind, "replicated state");
for (let kind = KIND.open; kind <= KIND.collected; kind++) MARKS.set(kind, "operations");

const data = JSON.parse(document.getElementById("data").textContent);
const setOf = (index) => `{${data.sets[index].join(",")}}`;
const rowName = (row) => String(data.processes[data.rows[row].process]);

// Silent for this part of the run, and left behind by others: it has ended.
const SILENT_MIN = 0.02;

// The model of one group.
function build(group) {
  const { g, t, k, a, b, c } = data.events;
  const rows = data.rows.map((_, row) => newRow(row));
  const messages = new Map(), list = [];
  // Of one process in one view. Initial views have no id, so they are told apart by their spans.
  const message = (span, process, number) => {
    const view = span.view < 0 ? `${span.row}.${rows[span.row].spans.length}` : span.view;
    const key = `${view}/${process}/${number}`;
    let found = messages.get(key);
    if (!found) {
      found = { view: span.view, from: ROWS[process], process, number, sent: NaN, len: 0, at: [] };
      messages.set(key, found);
      list.push(found);
    }
    return found;
  };
  let first = Infinity, last = 0, i = 0;
  rows.forEach((row, index) => {
    let time = 0;
    for (const end = i + data.rows[index].events; i < end; i++) {
      time += t[i];
      if (g[i] !== group) continue;
      first = Math.min(first, time);
      last = Math.max(last, time);
      row.hear(k[i], time, a[i], b[i], c[i], message);
    }
  });
  const views = viewsOf(rows);
  for (const row of rows) row.finish(last, SILENT_MIN * (last - first));
  for (const view of views) view.sets = setsOf(view);
  return { rows, messages: list, first, last, views, transfers: transfersOf(rows) };
}

// The first row of each process; -1 if it has no trace.
const ROWS = data.processes.map((_, process) => data.rows.findIndex((row) => row.process === process));

// What one process did, as its events are heard one after another.
function newRow(index) {
  const row = { id: rowName(index), spans: [], deliveries: [], marks: [], ends: [] };
  let now = null;
  const open = (time, view, set) => {
    now = { row: index, view, set, from: time, to: time, seen: time, delivered: 0, sent: 0, ending: "", next: null };
    row.spans.push(now);
  };
  const close = (time, ending) => {
    if (now) { now.to = now.seen = time; now.ending = ending; }
    now = null;
  };
  const end = (time, what) => { close(time, what); row.ends.push({ time, what }); };
  row.hear = (kind, time, a, b, c, message) => {
    if (kind === KIND.start) {
      // It was there before, and nothing says how that ended.
      if (now) end(now.seen, "ended without leaving");
      return open(time, -1, -1);
    }
    if (kind === KIND.view) {
      const before = now;
      close(time, "view");
      open(time, a, b);
      if (before) before.next = now;
      return undefined;
    }
    if (kind === KIND.leave) return end(time, "left");
    if (kind === KIND.crash) return end(time, "crashed");
    if (kind === KIND.brokenOff) return close(time, "its trace ends here");
    if (now) now.to = now.seen = time;
    if (MARKS.has(kind)) return row.marks.push({ row: index, time, kind, a, b, c });
    if (!now) return undefined;
    if (kind === KIND.send) {
      now.sent++;
      return Object.assign(message(now, data.rows[index].process, a), { from: index, sent: time, len: b });
    }
    now.delivered++;
    const delivery = { row: index, time, message: message(now, a, b), stage: c };
    delivery.message.at.push(delivery);
    return row.deliveries.push(delivery);
  };
  // What is silent may be there still. Others that went on without it say that it is not.
  row.finish = (last, silence) => {
    if (!now) return;
    if (last - now.seen > silence && now.leftBehind) return end(now.seen, "ended without leaving");
    now.to = last;
  };
  return row;
}

// Each view once, in the order in which the first process installed it.
function viewsOf(rows) {
  const views = new Map();
  for (const row of rows) {
    for (const span of row.spans) {
      if (span.view < 0) continue;
      if (!views.has(span.view)) views.set(span.view, { view: span.view, from: span.from, spans: [] });
      const view = views.get(span.view);
      view.from = Math.min(view.from, span.from);
      view.spans.push(span);
    }
  }
  for (const { spans } of views.values()) {
    const wentOn = spans.some((span) => span.next);
    for (const span of spans) span.leftBehind = wentOn && !span.next;
  }
  return [...views.values()].sort((x, y) => x.from - y.from);
}

// The spans of a view by transitional set: who came into it together.
function setsOf(view) {
  const sets = new Map();
  for (const span of view.spans) {
    if (!sets.has(span.set)) sets.set(span.set, []);
    sets.get(span.set).push(span);
  }
  return [...sets.values()].filter((spans) => spans.length > 1);
}

// Snapshots of a replicated state: from the donor to who restored it.
function transfersOf(rows) {
  const offers = new Map(), transfers = [];
  for (const row of rows) {
    for (const mark of row.marks) {
      if (mark.kind === KIND.snapshot) offers.set(`${data.rows[mark.row].process}/${mark.b}`, mark);
    }
  }
  for (const row of rows) {
    for (const mark of row.marks) {
      const offer = mark.kind === KIND.restore && offers.get(`${mark.a}/${mark.b}`);
      if (offer) transfers.push({ offer, restore: mark });
    }
  }
  return transfers;
}

// A scale of time: real, or with pauses shortened, so that bursts and pauses are both seen.
function scaleOf(model, real) {
  if (real) return { of: (time) => (time - model.first) / 1e6, end: (model.last - model.first) / 1e6 };
  const times = [];
  for (const row of model.rows) {
    for (const d of row.deliveries) times.push(d.time);
    for (const m of row.marks) times.push(m.time);
    for (const s of row.spans) times.push(s.from, s.to);
  }
  for (const m of model.messages) if (!Number.isNaN(m.sent)) times.push(m.sent);
  const knots = Float64Array.from(new Set(times)).sort();
  const at = new Float64Array(knots.length);
  for (let i = 1; i < knots.length; i++) {
    at[i] = at[i - 1] + Math.min(12, Math.log2(1 + (knots[i] - knots[i - 1]) / 20000));
  }
  const of = (time) => {
    const i = lowerBound(knots, time);
    if (i >= knots.length) return at[at.length - 1] || 0;
    if (i === 0 || knots[i] === time) return at[i];
    const part = (time - knots[i - 1]) / (knots[i] - knots[i - 1]);
    return at[i - 1] + part * (at[i] - at[i - 1]);
  };
  return { of, end: at[at.length - 1] || 1 };
}

// The first place whose value is not below `value`.
function lowerBound(sorted, value) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1; else high = middle;
  }
  return low;
}
function range(sorted, from, to) {
  return [lowerBound(sorted, from), lowerBound(sorted, to)];
}

// Puts each thing at its place on the scale.
function place(model, scale) {
  for (const row of model.rows) {
    for (const s of row.spans) { s.x0 = scale.of(s.from); s.x1 = scale.of(s.to); s.xs = scale.of(s.seen); }
    for (const d of row.deliveries) d.x = scale.of(d.time);
    for (const m of row.marks) m.x = scale.of(m.time);
    for (const e of row.ends) e.x = scale.of(e.time);
    row.until = Float64Array.from(row.spans, (s) => s.x1);
  }
  for (const m of model.messages) m.x = Number.isNaN(m.sent) ? m.at[0].x : scale.of(m.sent);
  for (const view of model.views) {
    const { spans } = view;
    view.x0 = spans.reduce((x, s) => Math.min(x, s.x0), Infinity);
    view.x1 = spans.reduce((x, s) => Math.max(x, s.x0), -Infinity);
    view.width = spans.reduce((x, s) => Math.max(x, s.x1 - s.x0), 0);
  }
}

// Leaves of each row what the filters show: deliveries, and marks of the protocol and of operations.
function sift(model, shown) {
  const isShown = ({ message }) => (shown.sender < 0 || message.process === shown.sender) &&
    (message.from < 0 || shown.rows.includes(message.from));
  const sorted = (list) => ({ list, at: Float64Array.from(list, (thing) => thing.x) });
  const marks = (row, of) => sorted(row.marks.filter((m) => {
    const kind = MARKS.get(m.kind);
    return shown.kinds.has(kind) && (kind === "operations") === of;
  }));
  for (const row of model.rows) {
    row.shown = sorted(shown.kinds.has("messages") ? row.deliveries.filter(isShown) : []);
    row.marked = [marks(row, false), marks(row, true)];
  }
  // The messages that one can step through, in the order of time.
  const stepped = new Set();
  for (const row of shown.rows) for (const { message } of model.rows[row].shown.list) stepped.add(message);
  model.steps = [...stepped].sort((x, y) => x.x - y.x);
}

// Ids of real runs are long: a clock value, and the id of a server. Their places are shown, and the
// ids themselves in the details.
const LONG = 1e6;
function shortIds(views) {
  const ids = views.map((view) => view.id.split(".").map(Number)), beside = new Map();
  for (const [major, minor] of ids) beside.set(major, (beside.get(major) || new Set()).add(minor));
  const ascending = (numbers) => [...numbers].sort((x, y) => x - y);
  const majors = ascending(beside.keys()).filter((major) => major > 0);
  const places = new Map(majors.map((major, i) => [major, i + 1]));
  return ids.map(([major, minor]) => {
    const first = majors[0] > LONG ? places.get(major) || 0 : major;
    if (minor <= LONG) return `${first}.${minor}`;
    // Which of those that were installed side by side.
    const minors = ascending(beside.get(major));
    return minors.length === 1 ? String(first) : `${first}.${minors.indexOf(minor) + 1}`;
  });
}
const IDS = shortIds(data.views), IS_LONG = IDS.some((id, view) => id !== data.views[view].id);
const idOf = (view) => IDS[view];
function nameOf(view) {
  return view < 0 ? "alone" : `view ${idOf(view)}`;
}
function membersOf(view) {
  return view < 0 ? "" : setOf(data.views[view].members);
}
function duration(ns) {
  if (ns < 1e3) return `${ns} ns`;
  if (ns < 1e6) return `${(ns / 1e3).toFixed(1)} µs`;
  if (ns < 1e9) return `${(ns / 1e6).toFixed(1)} ms`;
  return `${(ns / 1e9).toFixed(2)} s`;
}
