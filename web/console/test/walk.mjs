// Walks through the console of a running sidecar in headless Chromium, as somebody does who looks at it: node walk.mjs SCENE URL.
//
// Whoever starts it changes the world between the steps: it writes a word when it comes to such a place, and goes on after a line.
// CONSOLE_PICTURES=folder keeps pictures of what it saw.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { chromium } from "playwright-core";

const CHROMIUM = process.env["CHROMIUM"] || "/usr/bin/chromium";
const PICTURES = process.env["CONSOLE_PICTURES"] ?? "";
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PATIENCE = 30_000;
const [scene, url] = process.argv.slice(2);

/** Text that would run, turn the line around, reach a terminal or hide, if the page let it. */
const HOSTILE = '<img src=x onerror="window.ran=1"><script>window.ran=1</script>\u202egnp.exe\u001b[31m\u0007\u200b{{7*7}}';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Says where the walk is, and goes on when whoever started it has done its part. */
async function step(word) {
  process.stdout.write(`${word}\n`);
  const { value } = await lines.next();
  return value ?? "";
}

let browser;

/** Opens the page, does something with it, and sees that it asked nobody but its sidecar and had no error. */
async function withPage(options, use, { path = "console", failures = [404] } = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const [asked, errors, statuses] = [[], [], []];
  page.on("request", (request) => asked.push(request.url()));
  page.on("response", (response) => statuses.push(response.status()));
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => errors.push(message.text()));
  await page.goto(`${url}/${path}`);
  const result = await use(page, asked);
  assert.deepEqual(asked.filter((one) => !one.startsWith(`${url}/`)), [], "it asks nobody else");
  // What the sidecar does not have, or refuses, Chromium tells of by itself.
  assert.deepEqual(errors.filter((error) => !error.startsWith("Failed to load resource")), [], "no error");
  assert.deepEqual(statuses.filter((status) => status !== 200 && !failures.includes(status)), [], "no refusal");
  assert.equal(await page.evaluate(() => window.ran), undefined, "nothing ran");
  await context.close();
  return result;
}

const tile = (page, id) => page.locator(`#${id}`);
const says = (page, id) => tile(page, id).locator(".says").innerText();
const hasTone = (page, id, tone) => page.waitForSelector(`#${id}.${tone}`);
const text = (page, id) => page.locator(`#${id}`).innerText();

async function violations(page) {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const { violations } = await window.axe.run({ runOnly: { type: "tag", values: tags } });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join(" | ")}`);
  });
}

async function picture(page, name, options = {}) {
  if (PICTURES !== "") {
    await page.screenshot({ path: join(PICTURES, `console-${name}.png`), ...options });
  }
}

/** No part of the page is wider than the screen. */
async function fits(page, width) {
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width, `wider than ${width}`);
}

/** No short name in a table is cut up, and no table stands out of its panel. */
async function tablesFit(page) {
  const found = await page.evaluate(() => {
    const names = Array.from(document.querySelectorAll("tbody th .foreign"), (name) => [name.textContent, name.getClientRects().length]);
    const cut = names.filter(([name, lines]) => /^\S{1,20}$/.test(name) && lines > 1).map(([name]) => name);
    const wide = Array.from(document.querySelectorAll(".panel .body")).filter((body) => body.scrollWidth > body.clientWidth);
    return [...cut, ...wide.map((body) => body.parentElement.id)];
  });
  assert.deepEqual(found, []);
}

async function lookUp(page, id) {
  await page.fill("#decision-id", id);
  await page.press("#decision-id", "Enter");
  await page.waitForSelector("#decision .entry, #decision .problem");
}

/** In both themes, narrow and wide: no violation, and nothing sticks out. */
async function isUsable(decision) {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1440, 360]) {
      await withPage({ colorScheme, viewport: { width, height: 800 } }, async (page) => {
        await page.waitForSelector("#timeline svg, #timeline .quiet");
        if (decision !== undefined) {
          await lookUp(page, decision);
        }
        assert.deepEqual(await violations(page), [], `${colorScheme}, ${width}`);
        await fits(page, width);
      });
    }
  }
}

/** Every control is reached by the Tab key, in the order of the page, and shows that it is. */
async function keyboard(decision) {
  await withPage({}, async (page) => {
    await page.waitForSelector("#timeline svg");
    const reached = [];
    for (let press = 0; press < 40; press += 1) {
      await page.keyboard.press("Tab");
      const [name, ring] = await page.evaluate(() => {
        const at = document.activeElement;
        const shown = at?.matches("input[type=radio]") ? at.nextElementSibling : at;
        return [at?.id || at?.textContent || "", shown === null ? "" : getComputedStyle(shown).outlineStyle];
      });
      if (name === "" || reached.includes(name) || name.length > 60) {
        break;
      }
      assert.equal(ring, "solid", `${name} shows no focus`);
      reached.push(name);
    }
    assert.deepEqual(reached.slice(0, 4), ["Skip to the answers", "decision-id", "Look up", "Pause"]);
    assert.ok(reached.includes("span-short"), String(reached));
    await page.focus("#span-short");
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.isChecked("#span-middle"), true);
    await page.focus("#decision-id");
    await page.keyboard.type(decision);
    await page.keyboard.press("Enter");
    await page.waitForSelector("#decision .entry");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "decision-title");
    // What is drawn anew leaves the focus where it is.
    await page.focus("#span-middle");
    await page.waitForTimeout(2500);
    assert.equal(await page.evaluate(() => document.activeElement?.id), "span-middle");
    await page.focus("#decision button");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "decision-id");
  });
}

/** A page that nobody sees, or that is paused, asks nothing. */
async function rests() {
  await withPage({}, async (page, asked) => {
    await page.waitForSelector("#timeline svg");
    const hide = (hidden) =>
      page.evaluate((hidden) => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
        document.dispatchEvent(new Event("visibilitychange"));
      }, hidden);
    const asks = async () => {
      const before = asked.length;
      await page.waitForTimeout(5000);
      return asked.length - before;
    };
    assert.ok((await asks()) >= 1, "a page that is seen asks");
    await hide(true);
    await page.waitForTimeout(500);
    assert.equal(await asks(), 0, "a hidden page asks nothing");
    await hide(false);
    assert.ok((await asks()) >= 1, "a page that is seen again asks again");
    await page.click("button:text-is('Pause')");
    await page.waitForTimeout(500);
    assert.equal(await asks(), 0, "a paused page asks nothing");
  });
}

const SCENES = {
  async empty() {
    await withPage({}, async (page) => {
      await hasTone(page, "missing", "good");
      await hasTone(page, "genuine", "good");
      assert.match(await text(page, "anchored"), /Nothing is anchored/);
      assert.match(await text(page, "models"), /No decision was read yet/);
      assert.match(await text(page, "routes"), /doubler/);
      await lookUp(page, "01a1ee56-5e02-7000-8000-000000000002");
      assert.match(await text(page, "decision"), /no decision with this id/);
      await lookUp(page, HOSTILE.slice(0, 60));
      assert.match(await text(page, "decision"), /a decision id is a UUID/);
    }, { failures: [400, 404] });
    await isUsable();
  },

  async busy() {
    const [decision, reference] = (await step("decision")).split(" ");
    await withPage({}, async (page) => {
      await hasTone(page, "missing", "good");
      await hasTone(page, "anchored", "good");
      await hasTone(page, "late", "good");
      await hasTone(page, "genuine", "good");
      await page.waitForFunction(() => Number(document.querySelector(".pace dd")?.textContent) > 1);
      assert.match(await text(page, "anchors"), /tsa/);
      assert.match(await text(page, "siem"), /archive.*following/s);
      assert.match(await text(page, "routes"), /registered at leaf \d+/);
      await page.waitForSelector("#models td:has-text('cards 2026.1')");
      assert.match(await text(page, "alerts"), /cards 2026\.1 registered/);
      assert.match(await text(page, "alerts"), /policy refusal.*closed on route trial/s);
      await page.waitForTimeout(Number(process.env["CONSOLE_WAIT"] ?? 0));
      await picture(page, "busy");
      await lookUp(page, decision);
      const found = await text(page, "decision");
      assert.match(found, /decision at leaf [\d,]+ proved/);
      assert.equal(await page.locator("#decision .tree.holds").count(), await page.locator("#decision .entry").count());
      await picture(page, "decision", { fullPage: false });
      await lookUp(page, reference);
      assert.match(await text(page, "decision"), /decision at leaf [\d,]+ proved/);
      assert.equal(await page.locator("#decision .problem").count(), 0);
      await page.locator("#decision button:text-is('Close')").click();
      await page.waitForSelector("#routes th:has-text('unrouted')");
      for (const width of [1440, 1290, 1100, 360]) {
        await page.setViewportSize({ width, height: 900 });
        await tablesFit(page);
      }
    });
    await withPage({ viewport: { width: 360, height: 800 }, deviceScaleFactor: 2, colorScheme: "dark" }, async (page) => {
      await hasTone(page, "genuine", "good");
      await picture(page, "phone");
      await fits(page, 360);
    });
    await withPage({ colorScheme: "dark" }, async (page) => {
      await hasTone(page, "genuine", "good");
      await picture(page, "dark");
    });
    await isUsable(decision);
    await keyboard(decision);
    await rests();
  },

  async gap() {
    await withPage({}, async (page) => {
      await hasTone(page, "missing", "open");
      assert.match(await says(page, "missing"), /\d+ requests? without a record/);
      assert.match(await text(page, "missing"), /1 session ended without a stop entry/);
      assert.match(await text(page, "sessions"), /broke off/);
      assert.match(await text(page, "alerts"), /turned away/);
      assert.ok((await page.locator("#timeline .gap").count()) >= 1);
      assert.equal(await page.locator("#timeline .break").count(), 1);
      await hasTone(page, "genuine", "good");
      await picture(page, "gap");
    });
    await isUsable();
  },

  async tampered() {
    await withPage({}, async (page) => {
      await hasTone(page, "genuine", "good");
      const [decision, leaf, other] = (await step("change")).split(" ");
      await hasTone(page, "genuine", "bad");
      assert.equal(await says(page, "genuine"), `No: leaf ${leaf} was changed`);
      assert.match(await text(page, "genuine"), /is not the one that the log signed/);
      await lookUp(page, decision);
      assert.match(await text(page, "decision"), /could not be proved/);
      assert.equal(await page.locator("#decision .tree.fails").count(), 1);
      await page.evaluate(() => window.scrollTo(0, 0));
      await picture(page, "tampered");
      assert.deepEqual(await violations(page), []);
      await lookUp(page, other);
      assert.equal(await page.locator("#decision .tree.holds").count(), 1);
      await step("put back");
      await hasTone(page, "genuine", "open");
      assert.equal(await says(page, "genuine"), "Yes, again");
    });
    await isUsable();
  },

  async tiles() {
    await withPage({}, async (page) => {
      await hasTone(page, "genuine", "good");
      await page.click("button:text-is('Pause')");
      await page.waitForTimeout(1000);
      await step("change");
      await page.click("button:text-is('Go on')");
      await page.waitForSelector("#genuine.bad :text('not the beginning of the log')");
    });
  },

  async sessions() {
    await withPage({}, async (page) => {
      await hasTone(page, "missing", "good");
      assert.match(await text(page, "missing"), /12 sessions/);
      assert.equal(await page.locator("#sessions tbody tr").count(), 8);
      assert.match(await text(page, "sessions"), /and 4 earlier sessions/);
    });
  },

  async hostile() {
    const poisoned = (value) => {
      if (Array.isArray(value)) {
        return value.map(poisoned);
      }
      if (typeof value === "object" && value !== null) {
        return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, ["checkpoint", "policy", "id", "digest"].includes(key) ? inner : poisoned(inner)]));
      }
      return typeof value === "string" ? HOSTILE : value;
    };
    for (const colorScheme of ["light", "dark"]) {
      const context = await browser.newContext({ viewport: { width: 360, height: 800 }, colorScheme });
      const page = await context.newPage();
      const errors = [];
      page.on("pageerror", (error) => errors.push(error.message));
      await page.route("**/console/state*", async (route) => {
        const answer = await route.fetch();
        const state = poisoned(await answer.json());
        state.anchors.lanes = [{ lane: HOSTILE, kind: HOSTILE, state: HOSTILE, error: { at: state.now, text: HOSTILE }, alarms: [HOSTILE], next_attempt: state.now }];
        state.log.read.altered = { at: state.now, index: 3, what: HOSTILE };
        state.alerts = [{ at: state.now, kind: HOSTILE, severity: HOSTILE, title: HOSTILE, about: HOSTILE, index: 1, decision: HOSTILE }];
        state.log.read.events.push({ index: 1, at: state.now, kind: HOSTILE, what: HOSTILE, decision: HOSTILE });
        await route.fulfill({ json: state });
      });
      await page.route("**/siem", (route) => route.fulfill({ json: { sinks: [{ sink: HOSTILE, kind: HOSTILE, state: HOSTILE, next_leaf_index: 7, lag_events: 3, lag_seconds: 90, error: HOSTILE }] } }));
      await page.goto(`${url}/console`);
      await page.waitForSelector("#siem tbody tr");
      const shown = await page.evaluate(() => document.body.innerText);
      assert.ok(shown.includes("<img src=x onerror="), "hostile text is shown as text");
      assert.ok(shown.includes("U+202E") && shown.includes("U+001B") && shown.includes("U+200B"), "what hides is named");
      assert.doesNotMatch(shown, /[\u202e\u001b\u0007\u200b]/, "nothing turns or hides");
      assert.equal(await page.locator("main img, main script").count(), 0);
      assert.equal(await page.evaluate(() => window.ran), undefined);
      assert.deepEqual(errors, []);
      assert.deepEqual(await violations(page), []);
      await fits(page, 360);
      await context.close();
    }
    // The same from the sidecar's own configuration.
    await withPage({}, async (page) => {
      await page.waitForSelector("#routes tbody tr");
      assert.match(await text(page, "routes"), /<b onclick=window\.ran=1>/);
      assert.equal(await page.locator("#routes b").count(), 0);
    });
  },

  async access() {
    const [operator, application] = (await step("tokens")).split(" ");
    await withPage({}, async (page) => {
      const use = async (token) => {
        await page.fill("#token", token);
        await page.click("button:text-is('Use it')");
      };
      await page.waitForSelector(".token:not([hidden])");
      assert.deepEqual(await violations(page), []);
      assert.equal(await page.locator("#missing").count(), 0, "nothing is shown to nobody");
      await use(application);
      await page.waitForSelector(".line.bad:has-text('for the role')");
      assert.equal(await page.locator("#missing").count(), 0, "nothing is shown to an application");
      await use(operator);
      await hasTone(page, "missing", "good");
      assert.equal(await page.isVisible(".token"), false);
      assert.equal(await page.evaluate(() => JSON.stringify([localStorage.length, sessionStorage.length, document.cookie, document.querySelector("#token").value])), '[0,0,"",""]');
      // Another page knows nothing of it.
      await page.reload();
      await page.waitForSelector(".token:not([hidden])");
    }, { failures: [401, 403, 404] });
  },
};

assert.ok(existsSync(CHROMIUM), `${CHROMIUM} is not there: install the package chromium or set CHROMIUM`);
browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
await SCENES[scene]();
await browser.close();
process.exit(0);
