// The page of `vs draw` in a real browser: that it draws, and what a reader can do with it.
// Usage: node draw.mjs VS TRACES [DIRECTORY FOR SCREENSHOTS]
import assert from "node:assert";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
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
  await page.locator("#real").check();
  assert((await drawn(page)).spans > 20);
  const rows = await page.locator("#table tr.view").count();
  assert(rows >= 8, `${rows} views in the table`);

  const phone = await open(browser, small, 390, 844, "dark");
  assert((await drawn(phone)).spans > 20);
  assert(await phone.evaluate(() => document.documentElement.scrollWidth <= 390), "it is wider than the phone");
  await shot(phone, "demo-390.png");

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
