// What the traces say: rows, spans of views, messages, marks. Nothing here draws.
const KIND = {
  start: 0, leave: 1, crash: 2, brokenOff: 3, startChange: 4, mbrView: 5, block: 6, blockOk: 7,
  send: 8, deliver: 9, sync: 10, forward: 11, view: 12, signal: 13, primary: 14, lapsed: 15,
  restored: 16, gap: 17, state: 18,
};
const MARKS = new Map([
  [KIND.startChange, "changes"], [KIND.mbrView, "changes"], [KIND.sync, "sync messages"],
  [KIND.block, "blocks"], [KIND.blockOk, "blocks"], [KIND.forward, "forwards"],
  [KIND.signal, "signals"], [KIND.primary, "primary"], [KIND.lapsed, "primary"],
  [KIND.restored, "primary"], [KIND.gap, "gaps"], [KIND.state, "replicated state"],
]);
const data = JSON.parse(document.getElementById("data").textContent);
const setOf = (index) => `{${data.sets[index].join(",")}}`;

// The model of one group.
function build(group) {
  const n = data.events.t.length, { p, g, t, k, a, b, c } = data.events;
  const rows = data.processes.map((id) => ({ id, spans: [], deliveries: [], marks: [], ends: [] }));
  const messages = new Map(), list = [];
  const now = rows.map(() => null);
  const open = (row, time, view, set) => {
    const span = { row, view, set, from: time, to: time, delivered: 0, sent: 0, ending: "" };
    rows[row].spans.push(span);
    now[row] = span;
  };
  const close = (row, time, ending) => {
    if (now[row]) { now[row].to = time; now[row].ending = ending; }
    now[row] = null;
  };
  const message = (view, from, number) => {
    const key = `${view}/${from}/${number}`;
    let found = messages.get(key);
    if (!found) {
      found = { index: list.length, view, from, number, sent: NaN, len: 0, at: [] };
      messages.set(key, found);
      list.push(found);
    }
    return found;
  };
  let first = Infinity, last = 0;
  for (let i = 0; i < n; i++) {
    if (g[i] !== group) continue;
    const row = p[i], time = t[i];
    first = Math.min(first, time);
    last = Math.max(last, time);
    switch (k[i]) {
      case KIND.start: close(row, time, ""); open(row, time, -1, -1); break;
      case KIND.view: close(row, time, "view"); open(row, time, a[i], b[i]); break;
      case KIND.leave: close(row, time, "left"); rows[row].ends.push({ time, what: "left" }); break;
      case KIND.crash: close(row, time, "crashed"); rows[row].ends.push({ time, what: "crashed" }); break;
      case KIND.brokenOff: close(row, time, "trace ends"); break;
      case KIND.send: {
        const span = now[row];
        if (!span) break;
        span.sent++;
        const m = message(span.view, row, a[i]);
        m.sent = time; m.len = b[i];
        break;
      }
      case KIND.deliver: {
        const span = now[row];
        if (!span) break;
        span.delivered++;
        const m = message(span.view, a[i], b[i]);
        const delivery = { row, time, message: m, stage: c[i] };
        m.at.push(delivery);
        rows[row].deliveries.push(delivery);
        break;
      }
      default:
        if (MARKS.has(k[i])) rows[row].marks.push({ row, time, kind: k[i], a: a[i], b: b[i], c: c[i] });
    }
    if (now[row]) now[row].to = Math.max(now[row].to, time);
  }
  rows.forEach((row, index) => {
    if (!now[index]) return;
    // What ends without a word was killed, or the trace was taken before its end.
    if (last - now[index].to > 0.02 * (last - first)) {
      now[index].ending = "ended";
      row.ends.push({ time: now[index].to, what: "ended without leaving" });
    } else {
      now[index].to = last;
    }
  });
  return { rows, messages: list, first, last, views: viewsOf(rows) };
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
  return [...views.values()].sort((x, y) => x.from - y.from);
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

// Puts each thing at its place on the scale.
function place(model, scale) {
  for (const row of model.rows) {
    for (const s of row.spans) { s.x0 = scale.of(s.from); s.x1 = scale.of(s.to); }
    for (const d of row.deliveries) d.x = scale.of(d.time);
    for (const m of row.marks) m.x = scale.of(m.time);
    for (const e of row.ends) e.x = scale.of(e.time);
    row.at = Float64Array.from(row.deliveries, (d) => d.x);
    row.marked = Float64Array.from(row.marks, (m) => m.x);
  }
  for (const m of model.messages) m.x = Number.isNaN(m.sent) ? m.at[0].x : scale.of(m.sent);
}

// Ids begin at a clock value: their order is shown in their place, the id itself in the details.
const major = (view) => Number(view.id.split(".")[0]);
const MAJORS = [...new Set(data.views.map(major))].filter((id) => id > 0).sort((x, y) => x - y);
const IS_LONG = MAJORS.length > 0 && MAJORS[0] > 1e6;
function idOf(view) {
  const { id } = data.views[view];
  return IS_LONG ? `${MAJORS.indexOf(major(data.views[view])) + 1}.${id.split(".")[1]}` : id;
}
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
