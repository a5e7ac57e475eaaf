// Two browsers at two processes of the example `board`. Whatever is drawn in one appears in both,
// also when the process of either is killed with kill -9, started again, or suspended for a while.
// Usage: node board.mjs BOARD [DIRECTORY FOR SCREENSHOTS]
import { spawn } from 'node:child_process'
import assert from 'node:assert'
import { chromium } from 'playwright-core'

const [program, shots] = process.argv.slice(2)
const multicast = `239.254.${process.pid >> 8 & 255}.${process.pid & 255}:${20000 + process.pid % 20000}`
const started = new Set()

/// A process of the board, once it listens.
function board(id, at = '127.0.0.1:0') {
  const child = spawn(program, [String(id), at, multicast], { stdio: ['ignore', 'pipe', 'inherit'] })
  started.add(child)
  child.on('exit', () => started.delete(child))
  return new Promise((done, failed) => {
    child.on('exit', code => failed(new Error(`board ${id} ended with ${code}`)))
    child.stdout.once('data', line => {
      const url = /http:\S+/.exec(line)[0]
      done({ child, url, host: url.slice(7), kill: () => child.kill('SIGKILL') })
    })
  })
}

const launch = () => chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
async function open(browser, { url }, name, colour, viewport = { width: 800, height: 560 }) {
  const page = await (await browser.newContext({ viewport, hasTouch: viewport.width < 500 })).newPage()
  page.on('pageerror', error => { console.error(error); process.exitCode = 1 })
  await page.addInitScript(([name, colour]) => Object.assign(localStorage, { name, colour }), [name, colour])
  await page.goto(url)
  return page
}
/// Draws a line through points of the board's own 1600 × 1000.
async function draw(page, points, settled = true) {
  const box = await page.locator('canvas').last().boundingBox()
  const at = ([x, y]) => [box.x + x / 1600 * box.width, box.y + y / 1000 * box.height]
  await page.mouse.move(...at(points[0]))
  await page.mouse.down()
  for (const point of points.slice(1)) await page.mouse.move(...at(point))
  await page.mouse.up()
  if (settled) await page.waitForFunction(() => pending.size == 0)
}
const ids = page => page.evaluate(() => [...known.keys()].sort())
const pixels = page => page.evaluate(() => {
  const { data } = base.getImageData(0, 0, 1600, 1000)
  let hash = 0, inked = 0
  for (let i = 0; i < data.length; i++) {
    hash = Math.imul(hash ^ data[i], 16777619) >>> 0
    if (i % 4 == 3 && data[i]) inked++
  }
  return { hash, inked }
})
/// Until the boards of all pages are the same: strokes, and pixels.
async function same(pages, what, least) {
  for (let tries = 0; ; tries++) {
    const strokes = await Promise.all(pages.map(ids)), images = await Promise.all(pages.map(pixels))
    const open = await Promise.all(pages.map(page => page.evaluate(() => pending.size)))
    const done = strokes.every(of => of.length >= least && String(of) == String(strokes[0])) &&
      images.every(image => image.hash == images[0].hash) && open.every(size => size == 0)
    if (done) return console.log(`${what}: ${strokes[0].length} strokes, ${images[0].inked} pixels`)
    assert(tries < 300, `${what}: ${strokes.map(of => of.length)} ${JSON.stringify(images)} ${open}`)
    await new Promise(done => setTimeout(done, 100))
  }
}
const talksTo = (page, { host }) =>
  page.waitForFunction(host => $('at').textContent.startsWith(`at ${host},`), host, { timeout: 20000 })
const sees = (page, names) => page.waitForFunction(names =>
  [...document.querySelectorAll('#here span')].map(span => span.textContent).sort().join() == names,
  names.sort().join(), { timeout: 20000 })
const shot = (page, name) => shots && page.screenshot({ path: `${shots}/${name}.png` })

const browsers = await Promise.all([launch(), launch()])
try {
  let [one, two] = [await board(1), await board(2)]
  const ann = await open(browsers[0], one, 'ann', '#c0392b')
  const bob = await open(browsers[1], two, 'bob', '#2471a3')
  const both = [ann, bob]
  await Promise.all(both.map(page => sees(page, ['ann', 'bob'])))

  await draw(ann, [[200, 200], [400, 300], [600, 200]])
  await draw(bob, [[200, 600], [400, 250], [600, 600]]) // across the other, so the order shows
  await same(both, 'drawn in both', 2)
  let least = (await ids(ann)).length
  await shot(ann, 'before-ann'); await shot(bob, 'before-bob')

  // The process of one is killed while she draws: it goes on at the other one by itself.
  const drawing = draw(ann, Array.from({ length: 60 }, (_, i) => [700 + i * 10, 500 + 200 * Math.sin(i / 6)]))
  one.kill()
  await drawing
  await talksTo(ann, two)
  await draw(ann, [[100, 800], [1500, 820]])
  await same(both, 'ann went on at the process of bob', least + 2)
  least = (await ids(ann)).length
  await shot(ann, 'moved-ann'); await shot(bob, 'moved-bob')

  // It comes back, takes up the board, and the other way round.
  one = await board(1, one.host)
  const cat = await open(browsers[0], one, 'cat', '#1e8449', { width: 390, height: 844 })
  await sees(cat, ['ann', 'bob', 'cat'])
  await same([...both, cat], 'a third browser, at the process that came back', least)
  two.kill()
  await draw(bob, [[1300, 100], [1400, 400]], false)
  await Promise.all(both.map(page => talksTo(page, one)))
  await draw(bob, [[1200, 100], [1300, 400]])
  await same([...both, cat], 'the other way round', least + 2)
  least = (await ids(ann)).length
  await cat.touchscreen.tap(200, 200)
  await same([...both, cat], 'touched on a phone', least + 1)
  await shot(cat, 'phone')

  // Two sides that hear nothing of each other, and meet again.
  two = await board(2, two.host)
  const dan = await open(browsers[1], two, 'dan', '#8e44ad')
  await sees(dan, ['ann', 'bob', 'cat', 'dan'])
  two.child.kill('SIGSTOP')
  await draw(dan, [[900, 100], [1000, 900]], false) // waits there
  await sees(ann, ['ann', 'bob', 'cat'])
  await draw(ann, [[900, 900], [1000, 100]])
  two.child.kill('SIGCONT')
  await same([...both, cat, dan], 'parted and met again', least + 3)
  await shot(dan, 'merged')
  // A process that hangs closes no connection: its page goes on elsewhere, and so does what it drew.
  two.child.kill('SIGSTOP')
  await draw(dan, [[100, 950], [700, 950]], false)
  await talksTo(dan, one)
  await same([...both, cat, dan], 'gone on from a process that hangs', least + 4)
  // All processes are killed: the pages bring the board back.
  const all = (await ids(ann)).length
  one.kill(); two.kill()
  one = await board(1, one.host)
  await talksTo(bob, one)
  await same([...both, cat, dan], 'all were killed, and the pages bring it back', all)
} finally {
  for (const child of started) child.kill('SIGKILL')
  await Promise.all(browsers.map(browser => browser.close()))
}
