// The page of `vs draw` in a real browser: that it draws, and what a reader can do with it.
// Usage: node draw.mjs VS TRACES [DIRECTORY FOR SCREENSHOTS]
import assert from "node:assert";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [vs, traces, shots] = process.argv.slice(2);
const place = mkdtempSync(join(tmpdir(), "vs-draw-"));

// A run of 30 processes and 100,000 events, made up: views of all, then of two halves, then of all.
function large(directory) {
  const processes = Array.from({ length: 30 }, (_, i) => i + 1);
  const halves = [processes.slice(0, 15), processes.slice(15)];
  for (const p of processes) {
    const lines = [`{"vs_trace":1,"p":${p},"inc":1,"runtime":"made"}`];
    let ts = 1_700_000_000_000_000_000n + BigInt(p);
    const line = (ev) => { ts += 1_000_000n; lines.push(`{"ts":${ts},"p":${p},"g":"large",${ev}}`); };
    line('"ev":"start","inc":1');
    const views = [[2, processes], [3, halves.find((half) => half.includes(p))], [5, processes]];
    let before = [p];
    for (const [major, members] of views) {
      const view = `{"id":[${major},${members[0]}],"members":[${members}],"start":[${members.map(() => major)}]}`;
      line(`"ev":"view","view":${view},"trans":[${members.filter((m) => major === 2 ? m === p : before.includes(m))}]`);
      for (let n = 1; n <= 1120 / members.length; n++) {
        line(`"ev":"send","n":${n},"h":"0123456789abcdef","len":64`);
        for (const from of members) line(`"ev":"deliver","from":${from},"n":${n},"h":"0123456789abcdef","len":64`);
      }
      before = members;
    }
    writeFileSync(join(directory, `${p}.jsonl`), lines.join("\n") + "\n");
  }
}

// Small runs that are made up: the lines of each file are [milliseconds, event, further fields].
function made(name, files) {
  const directory = join(place, name), page = join(place, `${name}.html`);
  mkdirSync(directory);
  for (const [file, p, inc, lines] of files) {
    const texts = lines.map(([ms, ev, more]) => JSON.stringify({ ts: ms * 1e6, p, g: "made", ev, ...more }));
    writeFileSync(join(directory, file), [JSON.stringify({ vs_trace: 1, p, inc, runtime: "made" }), ...texts, ""].join("\n"));
  }
  execFileSync(vs, ["draw", directory, "-o", page], { stdio: "ignore" });
  return page;
}
const start = (ms, inc) => [ms, "start", { inc }];
const view = (ms, major, members, trans, minor = 1) =>
  [ms, "view", { view: { id: [major, minor], members, start: members.map(() => major) }, trans }];
const send = (ms, n) => [ms, "send", { n, h: "0123456789abcdef", len: 5 }];
const deliver = (ms, from, n) => [ms, "deliver", { from, n, h: "0123456789abcdef", len: 5 }];
const counts = (first, step, of) => Array.from({ length: 9 }, (_, i) => of(first + (i + 1) * step, i + 1));

// 1 is killed and starts again, which nothing but its second trace tells. That is read first.
function restarted() {
  const talk = (first) => counts(first, 100, (ms, n) => [send(ms, n), deliver(ms, 1, n)]).flat();
  const hear = (first) => counts(first, 100, (ms, n) => deliver(ms + 1, 1, n));
  const snapshot = { at: 9, h: "0123456789abcdef" };
  return made("restarted", [
    ["a.jsonl", 1, 2, [start(5000, 2), view(5100, 4, [1, 2], [1]), [5105, "restore", { from: 2, ...snapshot }], ...talk(5110)]],
    ["b.jsonl", 1, 1, [start(0, 1), view(10, 2, [1, 2], [1]), ...talk(10)]],
    ["c.jsonl", 2, 1, [start(0, 1), view(10, 2, [1, 2], [2]), ...hear(10), view(1500, 3, [2], [2]),
      view(5100, 4, [1, 2], [2]), [5101, "snapshot", { to: 1, ...snapshot }], ...hear(5110), [6500, "leave"]]],
  ]);
}
// 1 and 2 have nothing to say for long, and are there. 3 and 4 talk.
function idle() {
  const run = (p, members, n) => [`${p}.jsonl`, p, 1, [start(0, 1), view(10, 2, members, [p], members[0]),
    ...counts(10, n, (ms, n) => deliver(ms, members[0], n))]];
  return made("idle", [run(1, [1, 2], 10), run(2, [1, 2], 10), run(3, [3, 4], 500), run(4, [3, 4], 500)]);
}
// 30 processes go through 1,000 views.
function changing() {
  const all = Array.from({ length: 30 }, (_, i) => i + 1);
  const of = (p) => Array.from({ length: 1000 }, (_, i) => [view(2 * i + 1, i + 1, all, i ? all : [p]), deliver(2 * i + 2, 1, 1)]);
  return made("changing", all.map((p) => [`${p}.jsonl`, p, 1, [start(0, 1), ...of(p).flat()]]));
}

async function open(browser, file, width, height, colorScheme) {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme });
  page.on("pageerror", (error) => { throw error; });
  page.on("console", (message) => { throw new Error(message.text()); });
  page.on("request", (request) => assert(request.url().startsWith("file:"), `it asks for ${request.url()}`));
  await page.goto(`file://${file}`);
  return page;
}
// What the last frame drew, once the next one is there.
const drawn = (page) => page.evaluate(() => new Promise((done) =>
  requestAnimationFrame(() => requestAnimationFrame(() => done({ ...window.vsDraw.drawn, zoom: window.vsDraw.state.zoom })))));
const shot = (page, name) => shots && page.screenshot({ path: join(shots, name) });

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
try {
  const small = join(place, "demo.html"), big = join(place, "large.html");
  execFileSync(vs, ["draw", traces, "-o", small], { stdio: "inherit" });
  large(place);
  execFileSync(vs, ["draw", place, "-o", big], { stdio: "inherit" });

  const page = await open(browser, small, 1280, 800, "light");
  const all = await drawn(page);
  assert(all.spans > 20 && all.columns > 100, JSON.stringify(all));
  assert.equal(all.marks, 0, "the first sight is of views and messages");
  await shot(page, "demo-1280.png");
  // From view to view: messages become arrows, and are listed with who delivered them.
  await page.keyboard.press("]");
  await page.keyboard.press("]");
  assert((await drawn(page)).arrows > 0 || (await drawn(page)).columns > 0);
  for (let i = 0; i < 12 && !(await drawn(page)).arrows; i++) await page.keyboard.press("+");
  const near = await drawn(page);
  assert(near.arrows > 10 && near.zoom > all.zoom, JSON.stringify(near));
  assert(/went on to view .* together, after \d+ messages each/.test(await page.locator("#detail").innerText()));
  await shot(page, "demo-near.png");
  // Hovering tells what is there.
  const box = await page.locator("#canvas").boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  assert(/process|message/.test(await page.locator("#tip").innerText()));
  // One sender's messages are fewer; without messages there are none.
  await page.selectOption("#sender", { index: 2 });
  const one = await drawn(page);
  assert(one.arrows > 0 && one.arrows < near.arrows, `${one.arrows} of ${near.arrows}`);
  await page.locator("#filters summary").click();
  await page.locator("#kinds label", { hasText: /^ messages$/ }).locator("input").uncheck();
  assert.equal((await drawn(page)).arrows, 0);
  await page.locator("#filters summary").click();
  await page.keyboard.press("0");
  assert.equal((await drawn(page)).zoom, all.zoom);
  // From message to message by keys, which says the same as hovering.
  await page.locator("#filters summary").click();
  await page.locator("#kinds label", { hasText: /^ messages$/ }).locator("input").check();
  await page.locator("#filters summary").click();
  const sparse = await drawn(page);
  assert(sparse.columns + sparse.arrows < all.columns, "the sender is not chosen in the overview");
  const told = [];
  for (let i = 0; i < 3; i++) {
    await page.keyboard.press(".");
    await drawn(page);
    told.push(await page.locator("#tip").innerText());
  }
  assert(told.every((text) => /^message \d+ of process \d+ in view .*: delivered at /.test(text)), told.join("\n"));
  assert.equal(new Set(told).size, 3);
  await page.keyboard.press("Escape");
  assert(await page.locator("#tip").isHidden());
  await page.locator("#real").check();
  assert((await drawn(page)).spans > 20);
  const rows = await page.locator("#table tr.view").count();
  assert(rows >= 8, `${rows} views in the table`);

  const phone = await open(browser, small, 390, 844, "dark");
  assert((await drawn(phone)).spans > 20);
  assert(await phone.evaluate(() => document.documentElement.scrollWidth <= 390), "it is wider than the phone");
  await shot(phone, "demo-390.png");

  // What ended, and what is only silent.
  const ends = (page) => page.evaluate(() => vsDraw.state.model.rows.map((row) => row.ends.map((end) => end.what)));
  const again = await open(browser, restarted(), 1280, 800, "light");
  await drawn(again);
  assert.deepEqual(await ends(again), [["ended without leaving"], ["left"]]);
  const spans = await again.evaluate(() => vsDraw.state.model.rows[0].spans.map((s) => [s.view, s.from / 1e6, s.to / 1e6, s.delivered]));
  assert.deepEqual(spans.map((span) => span.slice(1)), [[0, 10, 0], [10, 910, 9], [5000, 5100, 0], [5100, 6500, 9]]);
  assert.equal(await again.evaluate(() => vsDraw.state.model.transfers.length), 1);
  await shot(again, "restarted-1280.png");
  const silent = await open(browser, idle(), 1280, 800, "light");
  assert.deepEqual(await ends(silent), [[], [], [], []]);
  // Paper is white, also where the screen is dark.
  const paper = await open(browser, small, 1280, 800, "dark");
  const corner = () => paper.evaluate(() => {
    const dot = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    dot.drawImage(canvas, -2, -2);
    return [...dot.getImageData(0, 0, 1, 1).data];
  });
  await drawn(paper);
  const dark = await corner();
  await paper.evaluate(() => window.dispatchEvent(new Event("beforeprint")));
  assert.deepEqual(await corner(), [255, 255, 255, 255]);
  await paper.evaluate(() => window.dispatchEvent(new Event("afterprint")));
  await drawn(paper);
  assert.deepEqual(await corner(), dark);

  // However many views: what is too narrow is one grey piece, and the table has an end.
  const many = await open(browser, changing(), 1280, 800, "light");
  for (const key of ["0", "+", "+", "+", "]", "0"]) {
    await many.keyboard.press(key);
    const { spans } = await drawn(many);
    assert(spans > 0 && spans <= 30 * 320, `${key}: ${spans} bands`);
  }
  assert(await many.locator("#table tr.view").count() <= 300);
  await shot(many, "changing-1280.png");

  // However long the run: what a frame draws is bounded by the screen.
  const long = await open(browser, big, 1280, 800, "light");
  const events = await long.evaluate(() => data.events.t.length);
  assert(events >= 100_000, `${events} events`);
  for (const key of ["0", "+", "+", "+", "+", "ArrowRight", "ArrowRight", "-", "]", "]", "+", "+"]) {
    await long.keyboard.press(key);
    const { spans, arrows, columns, marks } = await drawn(long);
    assert(spans > 0 && spans <= 200 && arrows <= 1500 && columns <= 30 * 430 && marks <= 1500,
      `${key}: ${spans} ${arrows} ${columns} ${marks}`);
  }
  await long.keyboard.press("0");
  await drawn(long);
  await shot(long, "large-1280.png");
  console.log(`the diagram is drawn: a demo, and ${events} events of 30 processes`);
} finally {
  await browser.close();
  rmSync(place, { recursive: true });
}
