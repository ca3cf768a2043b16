// Drives the page in headless Chromium and prints what it saw, as JSON, for test_page.py to judge.
//
//   node page.mjs URL CHROMIUM PLAYWRIGHT FOLDER < {"texts": [...], "long": "...", "file": "base64", "big": "base64"}

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [url, executablePath, playwright, folder] = process.argv.slice(2);
const { chromium } = createRequire(playwright)("playwright-core");
const { texts, long, wide, file, big } = JSON.parse(readFileSync(0, "utf8"));
const seen = { errors: [], foreign: [], posts: [] };

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const context = await browser.newContext({ viewport: { width: 900, height: 1150 } });
const page = await context.newPage();
page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
page.on("pageerror", (error) => seen.errors.push(String(error)));
page.on("request", (request) => {
  if (!/^(blob|data):/.test(request.url()) && !request.url().startsWith(url)) seen.foreign.push(request.url());
  if (request.method() !== "GET") seen.posts.push(request.url());
});

const data = () => page.evaluate(() => ({ ...document.documentElement.dataset }));
const settled = (key, after) =>
  page.waitForFunction(([key, after]) => Number(document.documentElement.dataset[key] ?? 0) > after, [key, after], { timeout: 60000 });
/** Does something, waits for the answer to it, and returns that. */
async function answerTo(act) {
  const before = Number((await data()).answered ?? 0);
  await act();
  await settled("answered", before);
  const { probs, ms } = await data();
  return { probs: JSON.parse(probs), ms: Number(ms), label: await page.textContent("#label") };
}
const dropped = (base64) =>
  page.evaluate((base64) => {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], "review.txt"));
    document.body.dispatchEvent(new DragEvent("dragover", { dataTransfer, bubbles: true, cancelable: true }));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
  }, base64);

await page.goto(url);
await settled("answered", 0);
await settled("way", 0);
seen.start = { label: await page.textContent("#label"), movers: await page.locator("#movers li").count() };
await page.screenshot({ path: `${folder}/light.png` });
await page.emulateMedia({ colorScheme: "dark" });
await page.screenshot({ path: `${folder}/dark.png` });
seen.backgrounds = [await page.evaluate(() => getComputedStyle(document.body).backgroundColor)];
await page.emulateMedia({ colorScheme: "light" });
seen.backgrounds.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));

seen.typed = [];
for (const text of texts) seen.typed.push(await answerTo(() => page.fill("#text", text)));

// A text of 500 words, then a word typed key by key.
await answerTo(() => page.fill("#text", long));
await page.focus("#text");
await page.keyboard.press("Control+End");
const answeredBefore = Number((await data()).answered);
seen.keystrokes = [];
for (const key of " and it was great fun to watch") {
  seen.keystrokes.push((await answerTo(() => page.keyboard.type(key))).ms);
  await page.waitForTimeout(60); // about as fast as people type
}
const { answered } = await data();
seen.keystrokeAnswers = Number(answered) - answeredBefore;
await settled("way", Number(answered) - 1);
seen.longWay = await page.evaluate(() => ({
  points: document.querySelectorAll("#words mark").length,
  last: document.querySelector("#position").getAttribute("aria-valuetext"),
}));

// The keyboard alone: along the words with the arrows.
await answerTo(() => page.fill("#text", texts[0]));
await settled("way", Number((await data()).answered) - 1);
await page.focus("#clear");
await page.keyboard.press("Tab");
seen.focused = await page.evaluate(() => document.activeElement.id);
await page.focus("#position");
seen.position = [await page.getAttribute("#position", "aria-valuetext")];
await page.keyboard.press("ArrowLeft");
seen.position.push(await page.getAttribute("#position", "aria-valuetext"));
seen.names = await page.evaluate(() =>
  Object.fromEntries(["text", "file", "position"].map((id) => [id, document.getElementById(id).labels[0].textContent])),
);
seen.live = await page.getAttribute("#answer", "aria-live");
// What a screen reader reads out.
seen.outline = await page.locator("body").ariaSnapshot();

// Long texts on a small and a large window: nothing makes the page scroll sideways.
seen.overflow = [];
for (const width of [360, 1600]) {
  await page.setViewportSize({ width, height: 900 });
  for (const [i, text] of wide.entries()) {
    await answerTo(() => page.fill("#text", text));
    await settled("way", Number((await data()).answered) - 1);
    await page.screenshot({ path: `${folder}/${width}-${i}.png`, fullPage: true });
    seen.overflow.push(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth));
  }
}
await page.focus("#position");
await page.keyboard.press("End");
await page.keyboard.press("ArrowLeft");
seen.isShown = await page.evaluate(() => {
  const [here, box] = [".here", "#words"].map((selector) => document.querySelector(selector).getBoundingClientRect());
  return here.top >= box.top && here.bottom <= box.bottom;
});
await page.setViewportSize({ width: 900, height: 1150 });

seen.file = await answerTo(() => dropped(file));
seen.big = await answerTo(() => dropped(big));
seen.chosen = await answerTo(() =>
  page.setInputFiles("#file", { name: "review.txt", mimeType: "text/plain", buffer: Buffer.from(file, "base64") }),
);
seen.empty = await answerTo(() => page.click("#clear"));
seen.emptyWay = await page.isVisible("#way");
seen.emptyFacts = await page.textContent("#facts");

await context.setOffline(true);
seen.offline = await answerTo(() => page.fill("#text", texts[0]));
await context.setOffline(false);

await page.goto(`${url}?golden`);
await page.waitForFunction(() => document.getElementById("golden").textContent, null, { timeout: 60000 });
seen.golden = await page.textContent("#golden");

// A model that cannot be fetched is one line on the page.
seen.failure = await (async () => {
  const other = await browser.newPage();
  await other.route("**/*.onnx", (route) => route.abort());
  await other.goto(url);
  await other.waitForFunction(() => document.getElementById("probability").textContent, null, { timeout: 60000 });
  const first = await other.textContent("#answer");
  await other.fill("#text", "a text");
  await other.waitForTimeout(500);
  return [first, await other.textContent("#answer")];
})();
seen.version = browser.version();
await browser.close();
console.log(JSON.stringify(seen));
