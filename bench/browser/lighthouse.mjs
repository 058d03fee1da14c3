// Measures pages with Lighthouse: node lighthouse.mjs '{"address", "cookie", "paths", "forms", "slowdown", "powers", "chromium", "flags"}'
// Prints a line of JSON for each page and form: {path, form, scores, figures, failed, power, slowdown}. Asks no host but `address`.
//
// A telephone is this machine slowed down. By how much depends on the machine, as Lighthouse's docs/throttling.md says: its usual 4
// makes a desk of 1,500 to 2,000 (`benchmarkIndex`) a telephone of the middle class, 125 to 800. Slowed to the middle of these, any
// machine is the same telephone; `slowdown` says another. The machine's power is that of the looks before, so a desk's come first.
import lighthouse, { desktopConfig } from "lighthouse";
import { launch } from "puppeteer-core";

const { address, cookie, paths, forms, slowdown: told, powers, chromium, flags } = JSON.parse(process.argv[2]);
const telephone = (125 + 800) / 2;
const nowhereElse = `--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE ${new URL(address).hostname}`;
const browser = await launch({ executablePath: chromium, args: [...flags, nowhereElse], protocolTimeout: 240_000 });

/** The pages that the menu leads to, as whoever has the cookie sees it. */
async function inTheMenu() {
  const page = await opened();
  await page.goto(address);
  await page.waitForSelector("nav a[href]");
  const found = await page.$$eval("nav a[href]", (links) => links.map((link) => link.getAttribute("href")));
  await page.close();
  return found;
}

/** A page that is logged in if there is a cookie, of a browser that has nothing of the portal at hand. */
async function opened() {
  const page = await browser.newPage();
  const session = await page.createCDPSession();
  await session.send("Network.clearBrowserCache");
  if (cookie !== null) {
    await browser.setCookie({ ...cookie, url: address, domain: new URL(address).hostname });
    await page.evaluateOnNewDocument(() => localStorage.setItem("fonoteka.session", "open"));
  }
  return page;
}

/** What Lighthouse says of one page. Now and then its trace has missed the beginning: then it is to be asked again, as it says. */
async function measured(path, form, tries = 3) {
  const page = await opened();
  const wanted = { onlyCategories: ["performance", "accessibility", "best-practices"], disableStorageReset: true, logLevel: "error" };
  const power = powers.toSorted((one, other) => one - other)[powers.length >> 1];
  const slowdown = form === "desktop" ? 1 : (told ?? (power === undefined ? 4 : Math.max(1, power / telephone)));
  const slowed = { extends: "lighthouse:default", settings: { throttling: { cpuSlowdownMultiplier: slowdown } } };
  const result = await lighthouse(address + path, wanted, form === "desktop" ? desktopConfig : slowed, page);
  await page.close();
  const { audits, categories, runtimeError } = result.lhr;
  if (runtimeError?.code === "NO_NAVSTART" && tries > 1) return measured(path, form, tries - 1);
  if (runtimeError !== undefined) throw new Error(`${path}: ${runtimeError.message}`);
  powers.push(result.lhr.environment.benchmarkIndex);
  const scores = Object.fromEntries(Object.values(categories).map((one) => [one.id, Math.round(one.score * 100)]));
  const names = ["first-contentful-paint", "largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift", "speed-index"];
  const figures = Object.fromEntries(names.map((name) => [name, audits[name].numericValue]));
  const failed = Object.values(audits).filter((one) => one.score !== null && one.score < 0.9).map((one) => `${one.id}: ${one.displayValue ?? one.title}`);
  return { path, form, scores, figures, failed, power: powers.at(-1), slowdown };
}

try {
  for (const path of paths ?? (await inTheMenu())) {
    for (const form of forms) console.log(JSON.stringify(await measured(path, form)));
  }
} finally {
  await browser.close();
}
