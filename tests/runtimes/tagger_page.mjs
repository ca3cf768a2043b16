// Opens the page of a tagger in headless Chromium, and prints as JSON what it showed.
//
//   node tagger_page.mjs URL CHROMIUM PLAYWRIGHT FOLDER < ["text", ...]

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [url, executablePath, playwright, folder] = process.argv.slice(2);
const { chromium } = createRequire(playwright)("playwright-core");
const texts = JSON.parse(readFileSync(0, "utf8"));

const seen = { errors: [], foreign: [], answers: [], facts: [], widths: [] };
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1000, height: 900 } });
page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
page.on("pageerror", (error) => seen.errors.push(String(error)));
page.on("request", (request) => {
  if (!/^(blob|data):/.test(request.url()) && !request.url().startsWith(url)) seen.foreign.push(request.url());
});
const answered = () => page.evaluate(() => Number(document.documentElement.dataset.answered ?? 0));
async function settle(after) {
  await page.waitForFunction((n) => Number(document.documentElement.dataset.answered ?? 0) > n, after, { timeout: 60000 });
}

await page.goto(url);
await settle(0);
async function look(name) {
  for (const width of [1280, 360]) {
    await page.setViewportSize({ width, height: 740 });
    await page.screenshot({ path: `${folder}/${width}-${name}.png`, fullPage: true });
    seen.widths.push(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  }
}
await look("light");
seen.unlabelled = await page.evaluate(() =>
  [...document.querySelectorAll("input, textarea, button")]
    .filter((field) => !field.labels?.length && !field.textContent.trim())
    .map((field) => field.outerHTML),
);
for (const text of texts) {
  const before = await answered();
  await page.fill("#text", text);
  await settle(before);
  const words = await page.evaluate(() => JSON.parse(document.documentElement.dataset.words));
  const shown = await page.evaluate(() => [...document.querySelectorAll(".written")].map((word) => word.textContent));
  seen.answers.push({ words, shown });
  seen.facts.push(await page.textContent("#facts"));
}
await page.emulateMedia({ colorScheme: "dark" });
await look("dark");
await page.goto(`${url}?golden`);
await page.waitForFunction(() => !document.querySelector("#golden").hidden, null, { timeout: 60000 });
seen.golden = await page.textContent("#golden");

// A model that cannot be fetched is one line on the page, which stays when something is typed.
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
