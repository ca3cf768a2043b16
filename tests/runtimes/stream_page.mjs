// Drives the page of `rnnx embed browser --streaming` in headless Chromium and prints what it showed, as JSON.
//
//   node stream_page.mjs URL CHROMIUM PLAYWRIGHT FOLDER < {"texts": [...], "state": "JSON", "goes_on": "...", "files": ["hex"]}

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [url, executablePath, playwright, folder] = process.argv.slice(2);
const { chromium } = createRequire(playwright)("playwright-core");
const { texts, state, goes_on: goesOn, files } = JSON.parse(readFileSync(0, "utf8"));
const seen = { errors: [], foreign: [], widths: [] };

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
page.on("pageerror", (error) => seen.errors.push(String(error)));
page.on("request", (request) => {
  if (!/^(blob|data):/.test(request.url()) && !request.url().startsWith(url)) seen.foreign.push(request.url());
});

/** Does something, waits for the answer to it, and returns that. */
async function answerTo(act) {
  const before = await page.evaluate(() => Number(document.documentElement.dataset.answered ?? 0));
  await act();
  await page.waitForFunction((n) => Number(document.documentElement.dataset.answered ?? 0) > n, before, { timeout: 60000 });
  const found = await page.evaluate(() => JSON.parse(document.documentElement.dataset.now));
  return { ...found, shown: await page.textContent("#answer"), rows: await page.locator("#pieces li").count() };
}

const openFile = (id, name, buffer) => page.setInputFiles(id, { name, mimeType: "application/octet-stream", buffer });

seen.start = await answerTo(() => page.goto(url));
seen.answers = [];
for (const text of texts) seen.answers.push(await answerTo(() => page.fill("#text", text)));
for (const colorScheme of ["light", "dark"]) {
  await page.emulateMedia({ colorScheme });
  for (const width of [400, 1400]) {
    await page.setViewportSize({ width, height: 900 });
    await page.screenshot({ path: `${folder}/${width}-${colorScheme}.png`, fullPage: true });
    seen.widths.push(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  }
}
const [saved] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
seen.saved = readFileSync(await saved.path(), "utf8");
seen.opened = await answerTo(() => openFile("#open", "state.json", Buffer.from(state)));
seen.goesOn = await answerTo(() => page.fill("#text", goesOn));
await openFile("#open", "strange.json", Buffer.from("{}"));
await page.waitForFunction(() => document.querySelector("#facts").textContent.startsWith("Something failed"), null, { timeout: 60000 });
seen.strange = await page.textContent("#facts");
seen.cleared = await answerTo(() => page.click("#clear"));
seen.files = [];
for (const hex of files) seen.files.push(await answerTo(() => openFile("#file", "text.txt", Buffer.from(hex, "hex"))));
seen.afterFile = await answerTo(() => page.fill("#text", goesOn));

await page.goto(`${url}?golden`);
await page.waitForFunction(() => !document.querySelector("#golden").hidden, null, { timeout: 60000 });
seen.golden = await page.textContent("#golden");

// A model that cannot be fetched is one line on the page.
const other = await browser.newPage();
await other.route("**/*.onnx", (route) => route.abort());
await other.goto(url);
await other.waitForFunction(() => document.querySelector("#facts").textContent.startsWith("Something failed"), null, { timeout: 60000 });
seen.failures = [await other.textContent("#facts")];
await other.fill("#text", "a text");
await other.waitForTimeout(500);
seen.failures.push(await other.textContent("#facts"));
await browser.close();
console.log(JSON.stringify(seen));
