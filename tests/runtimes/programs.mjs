// Opens pages in headless Chromium, and prints as JSON what the program of each said.
//
//   node programs.mjs URL CHROMIUM PLAYWRIGHT PATH...

import { createRequire } from "node:module";

const [url, executablePath, playwright, ...paths] = process.argv.slice(2);
const { chromium } = createRequire(playwright)("playwright-core");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const seen = {};
for (const path of paths) {
  const page = await browser.newPage();
  const { errors, foreign, said } = (seen[path] = { errors: [], foreign: [], said: [] });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => said.push(message.text()));
  page.on("request", (request) => {
    if (!/^(blob|data):/.test(request.url()) && !request.url().startsWith(url)) foreign.push(request.url());
  });
  await page.goto(url + path);
  const finished = await page.waitForFunction(() => window.finished, null, { timeout: 60000 }).catch(() => null);
  seen[path].finished = await finished?.jsonValue();
  await page.close();
}
await browser.close();
console.log(JSON.stringify(seen));
