// Serves the built page of a tagger, opens it in headless Chromium, and prints as JSON what it showed.
//
//   node tagger_page.mjs BUILD CHROMIUM PLAYWRIGHT FOLDER < ["text", ...]

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join } from "node:path";

const [build, executablePath, playwright, folder] = process.argv.slice(2);
const { chromium } = createRequire(playwright)("playwright-core");
const texts = JSON.parse(readFileSync(0, "utf8"));
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm" };

const server = createServer((request, response) => {
  const path = new URL(request.url, "http://localhost").pathname.replace(/\/$/, "/index.html");
  try {
    const body = readFileSync(join(build, path));
    response.writeHead(200, { "content-type": types[extname(path)] ?? "application/octet-stream" }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${server.address().port}/`;

const seen = { errors: [], foreign: [], answers: [], widths: [] };
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
for (const [name, size] of [["large", [1000, 900]], ["small", [360, 740]]]) {
  await page.setViewportSize({ width: size[0], height: size[1] });
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
  seen.widths.push(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
}
await page.emulateMedia({ colorScheme: "dark" });
await page.screenshot({ path: `${folder}/dark.png`, fullPage: true });
for (const text of texts) {
  const before = await answered();
  await page.fill("#text", text);
  await settle(before);
  const words = await page.evaluate(() => JSON.parse(document.documentElement.dataset.words));
  const shown = await page.evaluate(() => [...document.querySelectorAll(".written")].map((word) => word.textContent));
  seen.answers.push({ words, shown });
}
await page.goto(`${url}?golden`);
await page.waitForFunction(() => !document.querySelector("#golden").hidden, null, { timeout: 60000 });
seen.golden = await page.textContent("#golden");
await browser.close();
server.close();
console.log(JSON.stringify(seen));
